import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { Command } from '../../schemas/channel.js'
import type { ClusterId, Heartbeat } from '../../schemas/cluster.js'
import type { Descriptor } from '../../schemas/descriptor.js'
import { ApiError } from '../../schemas/errors.js'
import type { DeployResult, Job, JobEvent, JobId } from '../../schemas/job.js'
import type { Status } from '../../schemas/status.js'
import type { CommitOutcome, JobChange, JobQuery, JobStore } from '../../stores/store.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import { acknowledged, clusterLost, created, detailed, isNews, refused, reported, undeploying, updated } from './changes.js'
import { delivery } from './delivery.js'
import { jobName } from './descriptor/name.js'
import { createJobFinder } from './find.js'

/** What other services may listen to. */
interface LifecycleEvents {
  /** Commands for these clusters were put into the outbox. */
  commands: [ClusterId[]]
  /** Instances wait for a cluster. */
  unplaced: []
}

/**
 * The state machine of jobs and their instances. A `ref` is a job id or a job name, also with "_" for "."; one that
 * can be neither: `job_ref_malformed`; one that names nothing: `job_not_found`.
 */
export interface JobLifecycle {
  events: EventEmitter<LifecycleEvents>
  /**
   * Creates the job, or brings the live job of the same name to this descriptor; the same descriptor again changes nothing.
   * Durable when it resolves; the placement follows by itself.
   */
  deploy (descriptor: Descriptor, cause: string): Promise<{ job: Job, outcome: 'created' | 'updated' | 'unchanged' }>
  /** Asks the clusters to remove the job. It is UNDEPLOYED once they have confirmed; asking again changes nothing. */
  undeploy (ref: string, cause: string): Promise<Job>
  find (ref: string): Promise<Job>
  status (ref: string): Promise<Status>
  list (query: JobQuery): Promise<Job[]>
  /** The contract's documents of all jobs that are not UNDEPLOYED, each as JSON. */
  documents (): Promise<string[]>
  history (ref: string, query: { after?: number, limit: number }): Promise<JobEvent[]>
  /** Look-up for cluster managers (contract section 2): undefined where nothing has this name. */
  byNameForClusters (name: string): Promise<Job | undefined>
  byAddress (address: string): Promise<Job | undefined>

  /** A heartbeat: figures to the registry, the clusters' word on their jobs to the jobs. Gives what was not understood. */
  heartbeat (clusterId: ClusterId, body: Heartbeat): Promise<{ warnings: string[] }>
  /** Where a cluster runs the instances of a job. `clusterId` is known on the channel, not over HTTP. */
  result (body: DeployResult, clusterId?: ClusterId): Promise<void>
  /** A cluster durably took these commands. Idempotent; to be called before they are settled in the outbox. */
  acknowledged (clusterId: ClusterId, commands: Command[]): Promise<void>
  /** A cluster refused a command. Idempotent; to be called before it is settled in the outbox. */
  refused (clusterId: ClusterId, command: Command, error: string): Promise<void>
  /** Why commands about these jobs have not come to an end on a cluster, for people to see; null when that is over. Repeating it changes nothing. */
  delivery (clusterId: ClusterId, jobIds: JobId[], reason: string | null): Promise<void>
  /** All live jobs with an instance on this cluster: what it should be running. */
  desiredOn (clusterId: ClusterId): Promise<Job[]>
  /**
   * Forgets a cluster. `cluster_in_use` while a job is placed on it, unless forced: then its instances are placed anew,
   * and what it was still to remove counts as removed.
   */
  removeCluster (clusterId: ClusterId, options: { force: boolean, cause: string }): Promise<void>
  /** Commits changes that were decided on what the store held; those that came too late are dropped, to be decided anew by the caller. */
  commit (changes: JobChange[]): Promise<CommitOutcome[]>
}

/** Tries of one change against others of the same job; each round at least one of them wins. */
const MAX_TRIES = 200

/** Events that an operator wants to see pass by; the rest, one per status and instance, are for debugging. */
const STEPS = new Set(['deployed', 'updated', 'placed', 'unplaceable', 'waiting', 'refused', 'undeploying', 'undeployed'])

export function createJobLifecycle (jobs: JobStore, registry: ClusterRegistry, log: FastifyBaseLogger): JobLifecycle {
  const events = new EventEmitter<LifecycleEvents>()
  const finder = createJobFinder(jobs)

  async function commit (changes: JobChange[]): Promise<CommitOutcome[]> {
    if (changes.length === 0) return []
    const outcomes = await jobs.commit(changes)
    const saved = changes.filter((_, index) => outcomes[index]?.outcome === 'saved')
    for (const { job, events: told } of saved) {
      for (const { type, cause, message } of told) log[STEPS.has(type) ? 'info' : 'debug']({ job: job.job_name, cause }, message)
    }
    const reached = new Set(saved.flatMap(({ commands }) => commands.map(command => command.cluster_id)))
    if (reached.size > 0) events.emit('commands', [...reached])
    return outcomes
  }

  /** Decides on the newest state of a job until the decision holds. Gives the job as it is then. */
  async function change (id: JobId, decide: (job: Job) => JobChange | undefined | Promise<JobChange | undefined>): Promise<Job | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const job = await jobs.get(id)
      if (!job) return undefined
      const decision = await decide(job)
      if (!decision) return job
      const saved = savedOrStale((await commit([decision]))[0])
      if (saved) return saved
    }
    throw new ApiError('conflict', `Job ${id} kept changing`, { hint: 'Try again' })
  }

  /** Which clusters of a job the new descriptor still allows: the same test as the scheduler's, on those few only. */
  async function clustersAllowed (job: Job, descriptor: Descriptor): Promise<Set<ClusterId>> {
    const ids = new Set(job.instance_list.map(instance => instance.cluster_id).filter(id => id !== ''))
    const wanted = descriptor.cluster_location
    if (wanted === undefined || wanted === job.descriptor.cluster_location) return ids
    const clusters = await Promise.all([...ids].map(id => registry.get(id)))
    return new Set(clusters.filter(({ cluster_name, cluster_location }) => cluster_name === wanted || cluster_location === wanted).map(({ id }) => id))
  }

  async function takeOff (clusterId: ClusterId, cause: string): Promise<void> {
    const held = await jobs.list({ cluster_id: clusterId })
    for (const { id } of held) await change(id, job => clusterLost(job, clusterId, cause))
    if (held.length > 0) events.emit('unplaced')
  }

  function toPlace<T> (answer: T): T {
    events.emit('unplaced')
    return answer
  }

  return {
    events,
    commit,
    ...finder,
    list: query => jobs.list(query),
    documents: () => jobs.documents(),

    async deploy (descriptor, cause) {
      const name = jobName(descriptor)
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const live = await jobs.byName(name)
        if (live?.desired_state === 'running') {
          const allowed = await clustersAllowed(live, descriptor)
          const decision = updated(live, descriptor, id => allowed.has(id), cause)
          if (!decision) return { job: live, outcome: 'unchanged' }
          const job = savedOrStale((await commit([decision]))[0])
          if (job) return toPlace({ job, outcome: 'updated' })
        } else {
          const job = savedOrStale((await commit([created(descriptor, cause)]))[0])
          if (job) return toPlace({ job, outcome: 'created' })
        }
      }
      throw new ApiError('conflict', `${name} kept changing`, { hint: 'Try again' })
    },

    async undeploy (ref, cause) {
      const { id } = await finder.find(ref)
      return await change(id, job => undeploying(job, cause)) ?? await finder.find(ref)
    },

    async history (ref, query) {
      const { id } = await finder.find(ref)
      return await jobs.events(id, query)
    },

    byAddress: address => jobs.byAddress(address),

    async heartbeat (clusterId, body) {
      const { reports, warnings } = await registry.heartbeat(clusterId, body)
      if (reports.length === 0) return { warnings }
      // Only jobs for which the heartbeat is news are read and written.
      const told = new Map(reports.map(({ system_job_id, status }) => [system_job_id, status]))
      const affected = new Set<JobId>()
      for (const { job_id, status } of await jobs.contradicted(clusterId, told)) {
        if (isNews(status, told.get(job_id)!)) affected.add(job_id)
      }
      if (affected.size === 0) return { warnings }
      const decide = (job: Job) => reported(job, clusterId, told.get(job.id)!)
      const decisions = (await jobs.getMany([...affected])).map(decide).filter(decision => decision !== undefined)
      const outcomes = await commit(decisions)
      await Promise.all(decisions.filter((_, index) => outcomes[index]?.outcome !== 'saved').map(({ job }) => change(job.id, decide)))
      return { warnings }
    },

    async result (body, clusterId) {
      if (!await change(body.job_id, job => detailed(job, body, clusterId))) throw new ApiError('job_not_found', `No job has the id ${body.job_id}`)
    },

    async acknowledged (clusterId, commands) {
      for (const { job_id, command_id } of commands) {
        await change(job_id, job => acknowledged(job, clusterId, command_id))
      }
    },

    async refused (clusterId, command, error) {
      toPlace(await change(command.job_id, job => refused(job, clusterId, command, error)))
    },

    async delivery (clusterId, jobIds, reason) {
      for (const id of new Set(jobIds)) await change(id, job => delivery(job, clusterId, reason))
    },

    async removeCluster (clusterId, { force, cause }) {
      await registry.get(clusterId)
      if (!force) {
        const [job] = await jobs.list({ cluster_id: clusterId, limit: 1 })
        if (job) throw new ApiError('cluster_in_use', `${job.job_name} is on it`, { hint: 'Undeploy what runs there, or repeat with ?force=true to have it placed elsewhere' })
      }
      // Before, so that nothing is forgotten should the process end in between; after, for what was placed meanwhile.
      await takeOff(clusterId, cause)
      await registry.remove(clusterId)
      await takeOff(clusterId, cause)
    },

    async desiredOn (clusterId) {
      const held = await jobs.list({ cluster_id: clusterId, undeployed: false })
      return held.filter(job => job.instance_list.some(instance => instance.cluster_id === clusterId))
    }
  }
}

/** The job that was saved, undefined when the decision has to be made anew; throws what only the user can mend. */
function savedOrStale (outcome: CommitOutcome | undefined): Job | undefined {
  switch (outcome?.outcome) {
    case 'saved':
      return outcome.job
    case 'address_taken':
      throw new ApiError('address_taken', `${outcome.address} belongs to another job`, { hint: 'Leave RR_ip out to be given a free address' })
    case 'addresses_exhausted':
      throw new ApiError('addresses_exhausted')
  }
  return undefined
}
