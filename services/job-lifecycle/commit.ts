import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import type { Job, JobId } from '../../schemas/job.js'
import { hasUnplaced } from '../../schemas/job-facts.js'
import type { CommitOutcome, JobChange, JobStore } from '../../stores/store.js'
import { dueAt } from './state-machine/decisions/deadlines.js'
import type { Policy } from './state-machine/policy.js'

/** What other services may listen to. */
export interface LifecycleEvents {
  /** Commands for these clusters were put into the outbox. */
  commands: [ClusterId[]]
  /** Instances wait for a cluster. */
  unplaced: []
}

/** A decision on the newest state of a job; undefined when there is nothing to do. */
export type Decide = (job: Job) => JobChange | undefined | Promise<JobChange | undefined>

/** Makes decisions durable, and tells who has to know. */
export interface Committer {
  events: EventEmitter<LifecycleEvents>
  /**
   * Commits changes that were decided on what the store held; those that came too late are dropped, to be decided anew
   * by the caller. With a `fence`, changes of jobs that a holder of a newer lease has changed are dropped as stale.
   */
  commit (changes: JobChange[], fence?: number): Promise<CommitOutcome[]>
  /** Decides on the newest state of a job until the decision holds. Gives the job as it is then, undefined for none. */
  change (id: JobId, decide: Decide, fence?: number): Promise<Job | undefined>
  /**
   * {@link Committer.change} for each of these jobs. One that cannot be decided on is logged and never stops the
   * others. Gives the errors of those; rejects when the store fails.
   */
  changeEach (ids: Iterable<JobId>, decide: Decide, fence?: number): Promise<unknown[]>
  /** The same for each job that has an instance on this cluster, or one to be removed from it. */
  changeOn (clusterId: ClusterId, decide: Decide, fence?: number): Promise<unknown[]>
  /** Changes for these jobs, to be committed together. One that cannot be decided on is logged and left out. */
  decideEach (jobs: Job[], decide: (job: Job) => JobChange | undefined): JobChange[]
}

/** Jobs read at a time. */
const PAGE = 200

const UNDECIDED = 'a job could not be decided on, the others go on'

/** Tries of one change against others of the same job; each round at least one of them wins. */
export const MAX_TRIES = 200

/** Events that are for debugging, one per status and instance; an operator wants to see the others pass by. */
const DETAILS = new Set(['status', 'details', 'acknowledged', 'retired'])

export function createCommitter (jobs: JobStore, policy: Policy, log: FastifyBaseLogger): Committer {
  const events = new EventEmitter<LifecycleEvents>()

  async function commit (changes: JobChange[], fence?: number): Promise<CommitOutcome[]> {
    const held = fence === undefined ? changes : changes.filter(({ job }) => job.fence <= fence)
    for (const { job } of held) {
      job.due_at = dueAt(job, policy)
      if (fence !== undefined) job.fence = fence
    }
    if (held.length === 0) return changes.map(() => ({ outcome: 'stale' }))
    const outcomes = await jobs.commit(held)
    const saved = held.filter((_, index) => outcomes[index]?.outcome === 'saved')
    for (const { job, events: told } of saved) {
      for (const { type, cause, message } of told) {
        log[DETAILS.has(type) ? 'debug' : 'info']({ job: job.job_name, cause }, message)
      }
    }
    const reached = new Set(saved.flatMap(({ commands }) => commands.map(command => command.cluster_id)))
    if (reached.size > 0) events.emit('commands', [...reached])
    if (saved.some(({ job }) => hasUnplaced(job))) events.emit('unplaced')
    return changes.map(change => outcomes[held.indexOf(change)] ?? { outcome: 'stale' })
  }

  const committer: Committer = {
    events,
    commit,

    async change (id, decide, fence) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const job = await jobs.get(id)
        if (!job || (fence !== undefined && job.fence > fence)) return job
        const decision = await decide(job)
        if (!decision) return job
        const saved = savedOrStale((await commit([decision], fence))[0])
        if (saved) return saved
      }
      throw new ApiError('conflict', `Job ${id} kept changing`, { hint: 'Try again' })
    },

    async changeEach (ids, decide, fence) {
      const undecided: unknown[] = []
      for (const id of ids) {
        try {
          await committer.change(id, decide, fence)
        } catch (err) {
          // Its document cannot be understood, which the store has logged: for the others it is not there.
          if (err instanceof ApiError && err.code === 'job_unreadable') continue
          // The store, or others who change it all the time: not the fault of this job.
          if (err instanceof ApiError) throw err
          log.error({ err, job_id: id }, UNDECIDED)
          undecided.push(err)
        }
      }
      return undecided
    },

    async changeOn (clusterId, decide, fence) {
      const undecided: unknown[] = []
      let page: Job[]
      let after: JobId | undefined
      do {
        page = await jobs.list({ cluster_id: clusterId, limit: PAGE, ...(after !== undefined && { after }) })
        undecided.push(...await committer.changeEach(page.map(({ id }) => id), decide, fence))
        after = page.at(-1)?.id
      } while (page.length === PAGE)
      return undecided
    },

    decideEach: (jobs, decide) =>
      jobs.flatMap(job => {
        try {
          return decide(job) ?? []
        } catch (err) {
          log.error({ err, job_id: job.id }, UNDECIDED)
          return []
        }
      })
  }
  return committer
}

/** The job that was saved, undefined when the decision has to be made anew; throws what only the user can mend. */
function savedOrStale (outcome: CommitOutcome | undefined): Job | undefined {
  const refusal = outcome && refusalOf(outcome)
  if (refusal) throw refusal
  return outcome?.outcome === 'saved' ? outcome.job : undefined
}

/** The error of an outcome that only the user can mend. */
export function refusalOf (outcome: CommitOutcome): ApiError | undefined {
  switch (outcome.outcome) {
    case 'address_taken':
      return new ApiError('address_taken', `${outcome.address} belongs to another job`, {
        hint: 'Leave RR_ip out to be given a free address'
      })
    case 'addresses_exhausted':
      return new ApiError('addresses_exhausted')
  }
  return undefined
}
