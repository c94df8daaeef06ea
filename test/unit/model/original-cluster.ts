import type { Command } from '../../../schemas/channel.js'
import type { JobId } from '../../../schemas/job.js'
import type { Status } from '../../../schemas/status.js'
import { ModelCluster, type Document } from './cluster.js'

/**
 * An original cluster, by contract section 10: it runs one instance of a job, cannot change it, does each command as
 * often as it comes, never says RUNNING, restarts nothing, and says of each job that it ever had what it said last.
 */
export class ModelOriginal extends ModelCluster {
  override readonly isOriginal: boolean = true
  /** What it says of each job. */
  words = new Map<JobId, Status>()
  /** Jobs that it gave a worker to. */
  placed = new Set<JobId>()

  override take ({ kind, job_id: jobId, job }: Command): void {
    if (kind === 'replicate') throw new Error('an original cluster cannot replicate')
    if (kind === 'delete') this.jobs.delete(jobId)
    if (kind !== 'deploy') return
    const { image, instance_list: list } = job as unknown as Document
    const own = list.filter(({ cluster_id: clusterId }) => clusterId === this.id)
    if (own.length !== 1) throw new Error(`${own.length} entries end an original cluster`)
    this.placed.add(jobId)
    if (this.jobs.has(jobId)) {
      this.words.set(jobId, 'FAILED')
      return
    }
    const [{ instance_number: number, generation }] = own as [Document['instance_list'][number]]
    this.jobs.set(jobId, new Map([[number, { generation, image, status: 'NODE_SCHEDULED' }]]))
    // It goes on saying what it said last, until there is news.
    if (!this.words.has(jobId)) this.words.set(jobId, 'NODE_SCHEDULED')
  }

  /** It takes the command and finds no worker. */
  lackRoom (jobId: JobId): void {
    if (this.jobs.has(jobId)) return
    this.placed.delete(jobId)
    this.words.set(jobId, 'NO_WORKER_CAPACITY')
  }

  /** It fails at each delete of what it knows and never gave a worker to. */
  failsToDelete (jobId: JobId): boolean {
    return this.words.has(jobId) && !this.placed.has(jobId)
  }

  override climb (fails: (image: string) => boolean): void {
    for (const [jobId, containers] of this.jobs) {
      for (const container of containers.values()) {
        if (container.status !== 'NODE_SCHEDULED') continue
        container.status = fails(container.image) ? 'FAILED' : 'DEPLOYED'
        this.words.set(jobId, container.status)
      }
    }
  }

  override stop (jobId: JobId): void {
    for (const container of this.jobs.get(jobId)?.values() ?? []) {
      container.status = 'FAILED'
      this.words.set(jobId, 'FAILED')
    }
  }

  override forget (): void {
    super.forget()
    this.words.clear()
    this.placed.clear()
  }

  override reports (): Map<JobId, Status> {
    return new Map(this.words)
  }

  override copy (): ModelOriginal {
    const copy = new ModelOriginal(this.id)
    copy.jobs = structuredClone(this.jobs)
    copy.words = new Map(this.words)
    copy.placed = new Set(this.placed)
    return copy
  }
}
