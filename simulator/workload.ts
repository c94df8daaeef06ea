import type { JobReport } from '../schemas/cluster.js'
import type { DeployResult, JobId } from '../schemas/job.js'
import type { Status } from '../schemas/status.js'
import type { Containers } from './containers.js'
import {
  instancesFor,
  originOf,
  publishedPort,
  readJobDocument,
  wishOf,
  type JobDocument,
  type DesiredInstance
} from './job-document.js'
import type { ClusterJob, Container } from './state-file.js'
import type { Refusal, Workers } from './workers.js'

export interface WorkloadOptions {
  workers: Workers
  containers: Containers
  /** What ran before a restart. */
  saved: ClusterJob[]
  /** A job came, changed or went. */
  onChange (jobId: JobId): void
}

/** The jobs of a simulated cluster. A method that gives a reason has refused, and changed nothing. */
export interface Workload {
  /** Goes on with what was starting when the process ended. */
  resume (): void
  /** Makes it so: exactly the document's instances for this cluster run, in this version. */
  bring (document: unknown, clusterId: string): string | undefined
  /** Stops and forgets. */
  remove (jobId: JobId): void
  /** Moves what a job runs on one worker to another. */
  move (jobId: JobId, from: string | undefined, to: string | undefined): string | undefined
  /** Brings the cluster to exactly these jobs. Gives a sentence for each document that cannot be read. */
  resync (documents: unknown[], clusterId: string): string[]
  /** The job's containers stop with this status. False when it runs none. */
  fail (jobId: JobId, status: Status): boolean
  /** Starts the job's containers again, as clusters do on their own. False when it runs none. */
  restart (jobId: JobId): boolean
  /** One entry for each job, as heartbeats carry them. */
  reports (): JobReport[]
  /** Where the job's containers are; undefined before there is one. */
  result (jobId: JobId): DeployResult | undefined
  jobs (): ClusterJob[]
  readonly count: number
}

const STARTING: readonly Status[] = ['NODE_SCHEDULED', 'CREATED']
const STOPPED: readonly Status[] = ['FAILED', 'DEAD']
/** A heartbeat has one status for all containers of a job: the first of these that one of them has. */
const SPEAKS_FIRST: readonly Status[] = ['FAILED', 'DEAD', 'NODE_SCHEDULED', 'CREATED', 'RUNNING']

export function createWorkload ({ workers, containers, saved, onChange }: WorkloadOptions): Workload {
  const jobs = new Map<JobId, ClusterJob>(saved.map(job => [job.document._id, job]))
  for (const job of jobs.values()) {
    occupy(job)
    for (const container of job.containers) containers.adopt(container)
  }

  function occupy ({ document, containers }: ClusterJob) {
    for (const { worker } of containers) workers.takeOn(worker, wishOf(document).need)
  }

  function vacate ({ document, containers }: ClusterJob) {
    for (const { worker } of containers) workers.release(worker, wishOf(document).need)
  }

  function start (job: ClusterJob, container: Container) {
    containers.start(container, () => onChange(job.document._id))
  }

  /**
   * Replaces what the job runs by containers for these instances, or refuses and leaves all as it is. A container
   * that is on the right worker already stays, and is started again only where it has to. One whose generation has not
   * risen stays where it is and as it is: its turn in the update has not come.
   */
  function run (document: JobDocument, desired: DesiredInstance[]): Refusal | undefined {
    const before = jobs.get(document._id)
    const old = new Map(before?.containers.map(container => [container.instance_number, container]))
    const wish = wishOf(document)

    if (before) vacate(before)
    const places: Array<DesiredInstance & { worker: string }> = []
    for (const instance of desired) {
      const there = old.get(instance.number)
      const keeps = there && !hasRisen(there, instance) ? there.worker : undefined
      const found = workers.take({ ...wish, node: instance.node ?? keeps ?? wish.node, current: there?.worker })
      if ('refusal' in found) {
        for (const { worker } of places) workers.release(worker, wish.need)
        if (before) occupy(before)
        return found.refusal
      }
      places.push({ ...instance, worker: found.worker })
    }

    const job: ClusterJob = { document, refusal: null, containers: [] }
    const origin = originOf(document)
    const starting: Container[] = []
    for (const { number, generation, worker } of places) {
      const there = old.get(number)
      const stays = there?.worker === worker
      if (stays) old.delete(number)
      const container = stays ? there : containers.create(number, worker, publishedPort(document))
      job.containers.push(container)
      const turn = !stays || hasRisen(there, { generation })
      if (!stays || (turn && there.origin !== origin) || STOPPED.includes(there.status)) starting.push(container)
      if (turn) {
        Object.assign(container, { image: document.image, origin, ...generation !== undefined && { generation } })
      }
    }
    for (const container of old.values()) containers.discard(container)
    jobs.set(document._id, job)
    for (const container of starting) start(job, container)
    onChange(document._id)
  }

  function bring (document: JobDocument, clusterId: string): Refusal | undefined {
    const desired = instancesFor(document, clusterId)
    if (desired.length === 0) return remove(document._id)
    if (!runsAlready(jobs.get(document._id), desired)) return run(document, desired)
  }

  function remove (jobId: JobId): undefined {
    const job = jobs.get(jobId)
    if (!job) return
    vacate(job)
    for (const container of job.containers) containers.discard(container)
    jobs.delete(jobId)
    onChange(jobId)
  }

  /** Resyncing, nobody hears a refusal: the next heartbeats have to tell it. */
  function putRefused (document: JobDocument, refusal: Refusal) {
    remove(document._id)
    jobs.set(document._id, { document, refusal, containers: [] })
    onChange(document._id)
  }

  return {
    resume () {
      for (const job of jobs.values()) {
        for (const container of job.containers) if (STARTING.includes(container.status)) start(job, container)
      }
    },

    bring (value, clusterId) {
      const document = readJobDocument(value)
      return typeof document === 'string' ? document : bring(document, clusterId)
    },

    remove,

    move (jobId, from, to) {
      const job = jobs.get(jobId)
      if (!job) return `Job ${jobId} does not run here`
      if (from === undefined || to === undefined || !workers.has(from) || !workers.has(to)) return 'NO_NODE_FOUND'
      return run(
        job.document,
        job.containers.map(({ instance_number: number, generation, worker }) => ({
          number,
          generation,
          node: worker === from ? to : worker
        }))
      )
    },

    resync (values, clusterId) {
      const documents = values.map(readJobDocument)
      const readable = documents.filter(document => typeof document !== 'string')
      // First what has to go: its room may be what the others need.
      const ids = new Set(readable.map(document => document._id))
      for (const id of [...jobs.keys()]) if (!ids.has(id)) remove(id)
      for (const document of readable) {
        const refusal = bring(document, clusterId)
        if (refusal) putRefused(document, refusal)
      }
      return documents.filter(document => typeof document === 'string')
    },

    fail (jobId, status) {
      const job = jobs.get(jobId)
      if (!job?.containers.length) return false
      for (const container of job.containers) {
        containers.halt(container)
        container.status = status
      }
      onChange(jobId)
      return true
    },

    restart (jobId) {
      const job = jobs.get(jobId)
      if (!job?.containers.length) return false
      for (const container of job.containers) start(job, container)
      return true
    },

    reports: () => [...jobs].map(([id, job]) => ({ system_job_id: id, status: statusOf(job) })),

    result (jobId) {
      const created = jobs.get(jobId)?.containers.filter(({ status }) => status !== 'NODE_SCHEDULED') ?? []
      if (created.length === 0) return undefined
      return {
        job_id: jobId,
        instances: created.map(({ instance_number, namespace_ip, worker, host_port }) => ({
          instance_number,
          namespace_ip,
          host_ip: workers.address(worker),
          host_port
        }))
      }
    },

    jobs: () => [...jobs.values()],
    get count () {
      return jobs.size
    }
  }
}

/** The one status that a heartbeat gives for a job. */
export function statusOf ({ containers, refusal }: ClusterJob): Status {
  const statuses = new Set(containers.map(({ status }) => status))
  return refusal ?? SPEAKS_FIRST.find(status => statuses.has(status)) ?? containers[0]?.status ?? 'NODE_SCHEDULED'
}

/** Without generations every document is as good as a newer one. */
function hasRisen (container: Container, { generation }: Pick<DesiredInstance, 'generation'>): boolean {
  return generation === undefined || container.generation === undefined || generation > container.generation
}

/** The same instances in the same generations: the command came again, and nothing has to be done. */
function runsAlready (job: ClusterJob | undefined, desired: DesiredInstance[]): boolean {
  return job !== undefined && job.refusal === null && job.containers.length === desired.length &&
    desired.every(instance => {
      const container = job.containers.find(({ instance_number: number }) => number === instance.number)
      return container !== undefined && !hasRisen(container, instance) && !STOPPED.includes(container.status)
    })
}
