import type { JobReport } from '../schemas/cluster.js'
import type { DeployResult } from '../schemas/deploy-result.js'
import type { JobId } from '../schemas/job.js'
import type { Status } from '../schemas/status.js'
import type { Containers } from './containers.js'
import {
  instancesFor,
  originOf,
  publishedPort,
  readJobDocument,
  requirementsOf,
  type JobDocument,
  type DesiredInstance
} from './job-document.js'
import type { ClusterJob, Container } from './state-file.js'
import type { Refusal, Workers } from './workers.js'

export interface WorkloadOptions {
  workers: Workers
  containers: Containers
  /** The jobs that ran before a restart. */
  saved: ClusterJob[]
  /** A job was added, changed or removed. */
  onChange (jobId: JobId): void
}

/** The jobs of a simulated cluster. A method that returns a reason has refused, and changed nothing. */
export interface Workload {
  /** Continues the containers that were starting when the process ended. */
  resume (): void
  /** Applies a job document: afterwards exactly its instances for this cluster run, in this generation. */
  bring (document: unknown, clusterId: string): string | undefined
  /** Stops and removes a job. */
  remove (jobId: JobId): void
  /** Moves the instances of a job from one worker to another. */
  move (jobId: JobId, from: string | undefined, to: string | undefined): string | undefined
  /** Applies the whole desired state: exactly these jobs. Returns one sentence per document that cannot be read. */
  resync (documents: unknown[], clusterId: string): string[]
  /** Stops the job's containers with this status. False if it runs none. */
  fail (jobId: JobId, status: Status): boolean
  /** Restarts the job's containers, as clusters do without a command. False if it runs none. */
  restart (jobId: JobId): boolean
  /** One entry per job, with its instances, for heartbeats. */
  reports (): JobReport[]
  /** Where the job's containers run; undefined before one is created. */
  result (jobId: JobId): DeployResult | undefined
  jobs (): ClusterJob[]
  readonly count: number
}

const STARTING: readonly Status[] = ['NODE_SCHEDULED', 'CREATED']
const STOPPED: readonly Status[] = ['FAILED', 'DEAD']
/** The status of a job as a whole is the first one in this list that a container has. */
const SPEAKS_FIRST: readonly Status[] = ['FAILED', 'DEAD', 'NODE_SCHEDULED', 'CREATED', 'RUNNING']

export function createWorkload ({ workers, containers, saved, onChange }: WorkloadOptions): Workload {
  const jobs = new Map<JobId, ClusterJob>(saved.map(job => [job.document._id, job]))
  for (const job of jobs.values()) {
    occupy(job)
    for (const container of job.containers) containers.adopt(container)
  }

  function occupy ({ document, containers }: ClusterJob) {
    for (const { worker } of containers) workers.takeOn(worker, requirementsOf(document).need)
  }

  function vacate ({ document, containers }: ClusterJob) {
    for (const { worker } of containers) workers.release(worker, requirementsOf(document).need)
  }

  function start (job: ClusterJob, container: Container) {
    containers.start(container, () => onChange(job.document._id))
  }

  /**
   * Replaces the job's containers by those for these instances, or refuses and changes nothing. A container that is on
   * the right worker already stays, and is restarted only if necessary. One whose generation has not risen stays
   * unchanged: its turn in the update has not come.
   */
  function run (document: JobDocument, desired: DesiredInstance[]): Refusal | undefined {
    const before = jobs.get(document._id)
    const old = new Map(before?.containers.map(container => [container.instance_number, container]))
    const requirements = requirementsOf(document)

    if (before) vacate(before)
    const places: Array<DesiredInstance & { worker: string }> = []
    for (const instance of desired) {
      const there = old.get(instance.number)
      const keeps = there && !hasRisen(there, instance) ? there.worker : undefined
      const node = instance.node ?? keeps ?? requirements.node
      const found = workers.take({ ...requirements, node, current: there?.worker })
      if ('refusal' in found) {
        for (const { worker } of places) workers.release(worker, requirements.need)
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

  /** A resync has no reply for refusals: the next heartbeats report them. */
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
      // Removals first: the others may need their capacity.
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

    reports: () =>
      [...jobs].map(([id, job]) => ({
        system_job_id: id,
        status: statusOf(job),
        ...(job.containers.length > 0 && {
          instances: job.containers.map(({ instance_number, status }) => ({ instance_number, status }))
        })
      })),

    result (jobId) {
      const created = jobs.get(jobId)?.containers.filter(({ status }) => status !== 'NODE_SCHEDULED') ?? []
      if (created.length === 0) return undefined
      return {
        job_id: jobId,
        instances: created.map(({ instance_number, namespace_ip, worker, host_port, status }) => ({
          instance_number,
          namespace_ip,
          host_ip: workers.address(worker),
          host_port,
          status
        }))
      }
    },

    jobs: () => [...jobs.values()],
    get count () {
      return jobs.size
    }
  }
}

/** The status that a heartbeat reports for a job. */
export function statusOf ({ containers, refusal }: ClusterJob): Status {
  const statuses = new Set(containers.map(({ status }) => status))
  return refusal ?? SPEAKS_FIRST.find(status => statuses.has(status)) ?? containers[0]?.status ?? 'NODE_SCHEDULED'
}

/** Whether the instance has a newer generation than its container. Without generations, every document is newer. */
function hasRisen (container: Container, { generation }: Pick<DesiredInstance, 'generation'>): boolean {
  return generation === undefined || container.generation === undefined || generation > container.generation
}

/** Whether the job runs these instances in these generations already: a repeated command changes nothing. */
function runsAlready (job: ClusterJob | undefined, desired: DesiredInstance[]): boolean {
  return job !== undefined && job.refusal === null && job.containers.length === desired.length &&
    desired.every(instance => {
      const container = job.containers.find(({ instance_number: number }) => number === instance.number)
      return container !== undefined && !hasRisen(container, instance) && !STOPPED.includes(container.status)
    })
}
