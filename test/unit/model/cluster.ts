import type { Command } from '../../../schemas/channel.js'
import type { ClusterId, InstanceReport } from '../../../schemas/cluster.js'
import type { Instance, Job, JobId } from '../../../schemas/job.js'
import { jobForCluster } from '../../../schemas/job-document.js'
import type { Status } from '../../../schemas/status.js'

interface Container {
  generation: number
  image: string
  status: Status
}

/** What a cluster reads of a job document. */
export interface Document {
  _id: JobId
  image: string
  instance_list: Array<Pick<Instance, 'instance_number' | 'cluster_id' | 'generation'>>
}

/** A heartbeat has one status for all containers of a job: the first of these that one of them has. */
const SPEAKS_FIRST: readonly Status[] = ['FAILED', 'DEAD', 'NODE_SCHEDULED', 'CREATED', 'RUNNING']

/** Instances that a model cluster can hold. */
const ROOM = 16

/** The least that a cluster is, by the rule "make it so" of docs/channel.md. It has no clock: `climb` is its time. */
export class ModelCluster {
  readonly isOriginal: boolean = false
  /** What runs, by job and instance number. */
  jobs = new Map<JobId, Map<number, Container>>()
  /** Ids of commands that were taken: each is taken once. */
  taken = new Set<string>()

  constructor (readonly id: ClusterId) {}

  take ({ command_id: commandId, kind, job_id: jobId, job }: Command): void {
    if (this.taken.has(commandId)) return
    this.taken.add(commandId)
    if (kind === 'delete') this.jobs.delete(jobId)
    else if (kind !== 'move') this.#bring(job as unknown as Document)
  }

  /** Takes what it should run of a job from a resync, without a command. */
  bring (job: Job): void {
    this.#bring(jobForCluster(job, this.id) as unknown as Document)
  }

  #bring ({ _id: jobId, image, instance_list: list }: Document): void {
    const before = this.jobs.get(jobId)
    const after = new Map<number, Container>()
    for (const { instance_number: number, cluster_id: clusterId, generation } of list) {
      if (clusterId !== this.id) continue
      const there = before?.get(number)
      const stays = there && (generation <= there.generation || there.image === image)
      after.set(number, stays ? { ...there, generation: Math.max(generation, there.generation) } : { generation, image, status: 'NODE_SCHEDULED' })
    }
    if (after.size > 0) this.jobs.set(jobId, after)
    else this.jobs.delete(jobId)
  }

  /** Each container takes a step on its way; those of an image that `fails` stop instead of running, and are restarted. */
  climb (fails: (image: string) => boolean): void {
    for (const container of [...this.jobs.values()].flatMap(containers => [...containers.values()])) {
      if (['NODE_SCHEDULED', 'FAILED', 'DEAD'].includes(container.status)) container.status = 'CREATED'
      else container.status = fails(container.image) ? 'FAILED' : 'RUNNING'
    }
  }

  /** @param most So many of its containers stop, the first ones. */
  stop (jobId: JobId, status: Status, most: number): void {
    for (const container of [...this.jobs.get(jobId)?.values() ?? []].slice(0, most)) container.status = status
  }

  forget (): void {
    this.jobs.clear()
    this.taken.clear()
  }

  reports (): Map<JobId, Status> {
    return new Map([...this.jobs].map(([jobId, containers]) => {
      const statuses = [...containers.values()].map(({ status }) => status)
      return [jobId, SPEAKS_FIRST.find(status => statuses.includes(status))!]
    }))
  }

  /** Some clusters say how each instance is. */
  get tellsApart (): boolean {
    return !this.isOriginal && parseInt(this.id.at(-1)!, 16) % 2 === 0
  }

  instancesOf (jobId: JobId): InstanceReport[] {
    return [...this.jobs.get(jobId) ?? []].map(([instance_number, { status }]) => ({ instance_number, status }))
  }

  get freeCores (): number {
    return ROOM - [...this.jobs.values()].reduce((sum, containers) => sum + containers.size, 0)
  }

  copy (): ModelCluster {
    const copy = new ModelCluster(this.id)
    copy.jobs = structuredClone(this.jobs)
    copy.taken = new Set(this.taken)
    return copy
  }
}
