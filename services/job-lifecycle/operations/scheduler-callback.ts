import type { Cluster } from '../../../schemas/cluster.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Explanation, Job } from '../../../schemas/job.js'
import type { SchedulerAnswer } from '../../../schemas/scheduler.js'
import type { PlacementFailure } from '../../../schemas/status.js'
import type { JobChange } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import { isAskedAbout } from '../../scheduler-client/cloud/question.js'
import { REFUSAL_REST_MS } from '../../scheduler-client/embedded/placement-pass.js'
import type { SchedulerClient } from '../../scheduler-client/scheduler.js'
import { closedOf } from '../../scheduler-client/embedded/capacity.js'
import { placed, unplaceable } from '../state-machine/decisions/placement.js'
import { isWaitingForPlace } from '../state-machine/instances.js'
import { editJob } from '../state-machine/job-edit.js'
import type { JobLifecycle } from '../lifecycle.js'

/** Takes what the Cloud Scheduler calls back (contract section 4). */
export interface SchedulerCallbacks {
  /**
   * Places the instances of the job that have no cluster on the one it names. An answer about a job that has moved on
   * changes nothing. `job_not_found`, `cluster_not_found`.
   */
  take (answer: SchedulerAnswer): Promise<void>
}

export function createSchedulerCallbacks ({ lifecycle, registry, scheduler }: {
  lifecycle: Pick<JobLifecycle, 'change' | 'find' | 'events'>
  registry: Pick<ClusterRegistry, 'get' | 'isActive'>
  scheduler: Pick<SchedulerClient, 'answered'>
}): SchedulerCallbacks {
  return {
    async take (answer) {
      const job = await lifecycle.find(answer.job_id)
      if (answer.job_name !== undefined && answer.job_name !== job.job_name) {
        throw new ApiError('bad_request', 'The answer names two jobs', {
          violations: [{
            field: 'job.job_name',
            message: `expected ${job.job_name}, which job_id means; got ${answer.job_name}`
          }]
        })
      }
      if (hasMovedOn(job, answer)) return
      try {
        const cluster = 'cluster_id' in answer ? await registry.get(answer.cluster_id) : undefined
        await lifecycle.change(
          job.id,
          job => answered(job, answer, cluster && { ...cluster, active: registry.isActive(cluster) })
        )
      } catch (err) {
        if (err instanceof ApiError && err.code === 'cluster_not_found') {
          await lifecycle.change(job.id, job => misled(job, answer))
        }
        throw err
      } finally {
        scheduler.answered(job.id)
      }
    }
  }
}

/**
 * The question is with the Cloud Scheduler, or could not be brought to it: the job stays as it is, and says so. Written
 * only when there is something else to say.
 */
export function asked (job: Job, explanation: Explanation, cause: string): JobChange | undefined {
  if (job.desired_state !== 'running' || job.explanation?.summary === explanation.summary) return undefined
  const edit = editJob(job, cause)
  for (const instance of edit.job.instance_list) {
    if (isWaitingForPlace(instance)) instance.status_reason = explanation.summary
  }
  edit.job.explanation = explanation
  edit.event(explanation.outcome === 'unplaceable' ? 'unplaceable' : 'waiting', explanation.summary)
  return edit.done()
}

/** The Cloud Scheduler named a cluster, or said why there is none. @param cluster The one it named. */
function answered (
  job: Job,
  answer: SchedulerAnswer,
  cluster: Cluster & { active: boolean } | undefined,
  now = Date.now()
): JobChange | undefined {
  if (hasMovedOn(job, answer)) return undefined
  if ('failure' in answer) {
    return unplaceable(job, answer.failure, explain(now, 'unplaceable', 'the Cloud Scheduler found no place'), CAUSE)
  }
  if (!cluster) return undefined

  const obstacle = obstacleAt(cluster, job, now)
  if (obstacle) {
    return unplaceable(
      job,
      obstacle.failure,
      explain(
        now,
        'unplaceable',
        `the Cloud Scheduler named ${cluster.cluster_name}, which ${obstacle.reason}`,
        cluster
      ),
      CAUSE
    )
  }

  const unplaced = job.instance_list.filter(entry => isAskedAbout(entry))
  const welcome = unplaced.filter(({ refusals }) =>
    !refusals.some(({ cluster_id: id, at }) => id === cluster.id && now - Date.parse(at) < REFUSAL_REST_MS)
  )
  if (welcome.length < unplaced.length) {
    const refused = `the Cloud Scheduler named ${cluster.cluster_name}, which refused ` +
      `${welcome.length === 0 ? 'it' : `${unplaced.length - welcome.length} of ${unplaced.length} instances`} within ` +
        'the last minute'
    if (welcome.length === 0) {
      return unplaceable(job, 'TargetClusterNoCapacity', explain(now, 'unplaceable', refused, cluster), CAUSE)
    }
    return placed(job, {
      kind: 'placed',
      assignments: assign(welcome, cluster),
      failure: 'TargetClusterNoCapacity',
      explanation: explain(now, 'placed', refused, cluster)
    }, CAUSE)
  }
  return placed(job, {
    kind: 'placed',
    assignments: assign(unplaced, cluster),
    explanation: explain(now, 'placed', `placed on ${cluster.cluster_name} by the Cloud Scheduler`, cluster)
  }, CAUSE)
}

/** The Cloud Scheduler named a cluster that is not registered. */
function misled (job: Job, answer: SchedulerAnswer, now = Date.now()): JobChange | undefined {
  if (hasMovedOn(job, answer) || !('cluster_id' in answer)) return undefined
  return unplaceable(
    job,
    'TargetClusterNotFound',
    explain(now, 'unplaceable', `the Cloud Scheduler named ${answer.cluster_id}, which is no registered cluster`),
    CAUSE
  )
}

const CAUSE = 'scheduler'

/** Placed meanwhile, being removed, or brought to another descriptor than the one that was asked about. */
function hasMovedOn (job: Job, { generation }: SchedulerAnswer): boolean {
  return job.desired_state !== 'running' ||
    (generation !== undefined && generation !== job.generation) ||
    !job.instance_list.some(entry => isAskedAbout(entry))
}

/**
 * Why a cluster cannot be what the job asked for, whatever its scheduler thinks. Whether it has room is for the cluster
 * to say.
 */
function obstacleAt (
  cluster: Cluster & { active: boolean },
  { descriptor: { cluster_location: location }, retiring }: Job,
  now: number
): { failure: PlacementFailure, reason: string } | undefined {
  if (location !== undefined && location !== cluster.cluster_location && location !== cluster.cluster_name) {
    return { failure: 'TargetClusterNotFound', reason: `is not at ${location}` }
  }
  if (!cluster.active) {
    return {
      failure: 'TargetClusterNotActive',
      reason: `gave its last sign of life at ${new Date(cluster.last_modified_timestamp * 1000).toISOString()}`
    }
  }
  const closed = closedOf(cluster, now)
  if (closed !== undefined) return { failure: 'TargetClusterNotActive', reason: closed }
  if (retiring.some(entry => entry.cluster_id === cluster.id)) {
    return { failure: 'TargetClusterNoCapacity', reason: 'still has to remove an earlier instance of it' }
  }
  return undefined
}

function assign (instances: Job['instance_list'], { id }: Cluster) {
  return instances.map(({ instance_number }) => ({ instance_number, cluster_id: id }))
}

/** @param cluster The one that the sentence is about. */
function explain (now: number, outcome: Explanation['outcome'], summary: string, cluster?: Cluster): Explanation {
  const clusters = cluster
    ? [{
        cluster_id: cluster.id,
        cluster_name: cluster.cluster_name,
        fits: outcome === 'placed',
        score: null,
        reason: `${cluster.cluster_name}: ${summary}`
      }]
    : []
  return { decided_at: new Date(now).toISOString(), outcome, summary, clusters, omitted: 0 }
}
