import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Job } from '../../../../schemas/job.js'
import { isUnplaced } from '../../../../schemas/job-facts.js'
import type { Status } from '../../../../schemas/status.js'
import type { JobChange } from '../../../../stores/store.js'
import type { PlacementDecision } from '../../../scheduler-client/scheduler.js'
import { editJob } from '../job-change.js'
import { withoutFigures } from '../repetitions.js'

/** An explanation that says something else is written anew at most this often, ms; one with other figures rarer. */
const EXPLANATION_AGE_MS = 30_000
const FIGURES_AGE_MS = 300_000

/**
 * The scheduler found clusters for instances of this job. Those that still have none are placed; the rest shows
 * `failure`.
 */
export function placed (
  job: Job,
  { assignments, explanation, failure }: Extract<PlacementDecision, { kind: 'placed' }>,
  cause: string,
  at = new Date()
): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause, at)
  const reached = new Set<ClusterId>()
  for (const { instance_number: number, cluster_id: clusterId, original, offered } of assignments) {
    const instance = edit.job.instance_list.find(entry => entry.instance_number === number && isUnplaced(entry))
    // A cluster could not tell two entries of one instance apart; an original one takes one instance of a job.
    if (
      !instance ||
      edit.job.instance_list.some(entry =>
        entry.cluster_id === clusterId && (original || entry.instance_number === number)
      )
    ) continue
    Object.assign(instance, { cluster_id: clusterId, original, offered, told: null })
    instance.generation = edit.job.generation
    edit.move(instance, 'placed', 'CLUSTER_SCHEDULED')
    reached.add(clusterId)
  }
  if (reached.size === 0) return undefined
  for (const instance of edit.job.instance_list) {
    if (!isUnplaced(instance)) continue
    // Without a failure the rest waits for the figures of a cluster.
    if (failure) edit.move(instance, 'unplaceable', failure)
    instance.status_reason = explanation.summary
  }
  edit.job.explanation = explanation
  edit.event('placed', explanation.summary)
  return edit.done()
}

/**
 * No cluster can take the instances that have none: `status` says why. The scheduler says so in each pass, so the same
 * verdict is not stored twice.
 */
export function unplaceable (
  job: Job,
  status: Status,
  explanation: Job['explanation'],
  cause: string,
  at = new Date()
): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause, at)
  const reason = explanation?.summary ?? null
  let moved = false
  for (const instance of edit.job.instance_list) {
    if (!isUnplaced(instance)) continue
    moved = edit.move(instance, 'unplaceable', status, reason) || moved
    instance.status_reason = reason
  }
  if (!moved && !isOutdated(job.explanation, explanation, edit.now)) return undefined
  edit.job.explanation = explanation
  edit.event('unplaceable', reason ?? status)
  return edit.done()
}

/** A cluster may take the job but has sent no figures yet: the job stays as it is, and says so. */
export function waiting (
  job: Job,
  explanation: Job['explanation'],
  cause: string,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, cause, at)
  if (job.desired_state !== 'running' || !isOutdated(job.explanation, explanation, edit.now)) return undefined
  for (const instance of edit.job.instance_list) {
    if (isUnplaced(instance)) instance.status_reason = explanation?.summary ?? null
  }
  edit.job.explanation = explanation
  edit.event('waiting', explanation?.summary ?? 'waiting for the figures of a cluster')
  return edit.done()
}

/** A new reason is worth a write when the kind of verdict changed, or the numbers in the sentence are old. */
function isOutdated (kept: Job['explanation'], found: Job['explanation'], now: string): boolean {
  if (!kept || !found || kept.outcome !== found.outcome) return true
  const isSaidAnew = withoutFigures(kept.summary) !== withoutFigures(found.summary)
  // Where the clock was set back, the age is negative.
  const age = Math.abs(Date.parse(now) - Date.parse(kept.decided_at))
  return kept.summary !== found.summary && age > (isSaidAnew ? EXPLANATION_AGE_MS : FIGURES_AGE_MS)
}
