import type { Cluster } from '../../../../schemas/cluster.js'
import {
  closedReason,
  HAS_ITS_ONE,
  hasGrown,
  isOriginal,
  offerOf,
  REFUSAL_BACKOFF_MS
} from '../../../../schemas/cluster-facts.js'
import type { Explanation, Job } from '../../../../schemas/job.js'
import { isForCloudScheduler, isUnplaced, requirementsOf } from '../../../../schemas/job-facts.js'
import type { SchedulerAnswer } from '../../../../schemas/scheduler.js'
import type { PlacementFailure } from '../../../../schemas/status.js'
import type { JobChange } from '../../../../stores/store.js'
import type { Assignment } from '../../../scheduler-client/scheduler.js'
import { editJob } from '../job-change.js'
import { placed, unplaceable } from './placement.js'

const CAUSE = 'scheduler'

/**
 * The Cloud Scheduler was asked, or could not be reached: the job stays as it is, and says so. Stored only when the
 * sentence is another one.
 */
export function asked (
  job: Job,
  explanation: Explanation,
  cause: string,
  at = new Date()
): JobChange | undefined {
  if (job.desired_state !== 'running' || job.explanation?.summary === explanation.summary) return undefined
  const edit = editJob(job, cause, at)
  for (const instance of edit.job.instance_list) {
    if (isUnplaced(instance)) instance.status_reason = explanation.summary
  }
  edit.job.explanation = explanation
  edit.event(explanation.outcome === 'unplaceable' ? 'unplaceable' : 'waiting', explanation.summary)
  return edit.done()
}

/** The Cloud Scheduler named a cluster, or said why there is none. @param cluster The one it named. */
export function answered (
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

  const unplaced = job.instance_list.filter(isForCloudScheduler)
  const isRecent = (at: string) => Math.abs(now - Date.parse(at)) < REFUSAL_BACKOFF_MS
  const welcome = unplaced.filter(({ refusals }) =>
    !refusals.some(({ cluster_id: id, at, offered = null }) =>
      id === cluster.id && isRecent(at) && !hasGrown(offered, offerOf(cluster), requirementsOf(job.descriptor))
    )
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
export function misled (job: Job, answer: SchedulerAnswer, now = Date.now()): JobChange | undefined {
  if (hasMovedOn(job, answer) || !('cluster_id' in answer)) return undefined
  return unplaceable(
    job,
    'TargetClusterNotFound',
    explain(now, 'unplaceable', `the Cloud Scheduler named ${answer.cluster_id}, which is no registered cluster`),
    CAUSE
  )
}

/** The answer is too late: the job is placed or being removed, or its descriptor is another one by now. */
export function hasMovedOn (job: Job, { generation }: SchedulerAnswer): boolean {
  return job.desired_state !== 'running' ||
    (generation !== undefined && generation !== job.generation) ||
    !job.instance_list.some(isForCloudScheduler)
}

/**
 * Why a cluster cannot take the job, whatever the Cloud Scheduler decided. Whether it has room, the cluster will say.
 */
function obstacleAt (
  cluster: Cluster & { active: boolean },
  { descriptor: { cluster_location: location }, retiring, instance_list: list }: Job,
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
  const closed = closedReason(cluster, now)
  if (closed !== undefined) return { failure: 'TargetClusterNotActive', reason: closed }
  if (retiring.some(entry => entry.cluster_id === cluster.id)) {
    return { failure: 'TargetClusterNoCapacity', reason: 'still has to remove an earlier instance of it' }
  }
  if (isOriginal(cluster) && list.some(entry => entry.cluster_id === cluster.id)) {
    return { failure: 'TargetClusterNoCapacity', reason: HAS_ITS_ONE }
  }
  return undefined
}

function assign (instances: Job['instance_list'], cluster: Cluster): Assignment[] {
  const original = isOriginal(cluster)
  const offered = offerOf(cluster)
  return instances.map(({ instance_number }) => ({ instance_number, cluster_id: cluster.id, original, offered }))
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
