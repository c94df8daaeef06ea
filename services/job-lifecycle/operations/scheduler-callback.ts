import { ApiError } from '../../../schemas/errors.js'
import type { SchedulerAnswer } from '../../../schemas/scheduler.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { SchedulerClient } from '../../scheduler-client/scheduler.js'
import type { ClusterStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { answered, hasMovedOn, misled } from '../state-machine/decisions/scheduler-answer.js'
import { forgetDeleted } from '../deleted-clusters.js'
import type { JobFinder } from './find.js'

/** Answers of the Cloud Scheduler (contract section 4). */
export interface SchedulerCallbacks {
  /**
   * Places the unplaced instances of a job on the cluster that the answer names. An answer that comes too late changes
   * nothing. Errors: `job_not_found`, `cluster_not_found`, and `bad_request` if `job_id` and `job_name` disagree.
   */
  take (answer: SchedulerAnswer): Promise<void>
}

export function createSchedulerCallbacks ({ clusters, committer, finder, registry, scheduler }: {
  clusters: Pick<ClusterStore, 'get' | 'getMany'>
  committer: Committer
  finder: JobFinder
  registry: Pick<ClusterRegistry, 'get' | 'liveness'>
  scheduler: Pick<SchedulerClient, 'answered'>
}): SchedulerCallbacks {
  return {
    async take (answer) {
      const job = await finder.find(answer.job_id)
      if (answer.job_name !== undefined && answer.job_name !== job.job_name) {
        throw new ApiError('bad_request', 'The answer names two jobs', {
          violations: [{
            field: 'job.job_name',
            message: `expected ${job.job_name}, the job with this job_id; got ${answer.job_name}`
          }]
        })
      }
      if (hasMovedOn(job, answer)) return
      try {
        const cluster = 'cluster_id' in answer ? await registry.get(answer.cluster_id) : undefined
        await committer.change(
          job.id,
          job => answered(job, answer, cluster && { ...cluster, active: registry.liveness.isActive(cluster) })
        )
        await forgetDeleted({ clusters, committer }, cluster ? [cluster.id] : [])
      } catch (err) {
        if (err instanceof ApiError && err.code === 'cluster_not_found') {
          await committer.change(job.id, job => misled(job, answer))
        }
        throw err
      } finally {
        scheduler.answered(job.id)
      }
    }
  }
}
