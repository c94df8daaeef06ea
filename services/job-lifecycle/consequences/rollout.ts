import { CLUSTER_REFUSALS, type Status } from '../../../schemas/status.js'
import { isUp, numbersOf, sourceOf, successorOf } from '../instances.js'
import type { JobEdit } from '../job-edit.js'
import { grow, keepRevision, shrink } from '../scaling.js'

const FAILURES: readonly Status[] = ['FAILED', 'DEAD', ...CLUSTER_REFUSALS]

/**
 * Takes the next steps of an update: as many instances at a time as may be unavailable, those that are down already
 * beside them; ends it when all run; goes back to the descriptor before when one fails.
 */
export function continueRollout (edit: JobEdit): void {
  const { job } = edit
  if (!job.rollout) return
  const { max_unavailable: maxUnavailable, auto_rollback: autoRollback, started_at: startedAt } = job.rollout
  // Where an instance is moving, its successor has the new descriptor already.
  const placed = job.instance_list.filter(entry => entry.cluster_id !== '' && !entry.silent && !successorOf(job, entry))
  const failed = placed.find(entry => entry.generation === job.generation && entry.awaits === null && entry.status_since >= startedAt && FAILURES.includes(entry.status))
  if (failed && autoRollback) {
    rollBack(edit, `instance ${failed.instance_number} is ${failed.status}${failed.status_reason ? ` (${failed.status_reason})` : ''}`)
    return
  }

  const pending = placed.filter(entry => entry.generation < job.generation)
  if (pending.length === 0) {
    if (!placed.every(isUp) || job.instance_list.some(entry => sourceOf(job, entry))) return
    const { rollback } = job.rollout
    job.rollout = null
    shrink(edit, job.replicas)
    edit.event('rolled_out', `generation ${job.generation} runs${rollback ? ', as before the update' : ''}`)
    return
  }

  const up = new Set(job.instance_list.filter(isUp).map(entry => entry.instance_number))
  let spare = up.size - (job.replicas - maxUnavailable)
  for (const entry of pending.sort((a, b) => Number(up.has(a.instance_number)) - Number(up.has(b.instance_number)) || a.instance_number - b.instance_number)) {
    if (up.has(entry.instance_number) && spare-- <= 0) break
    edit.renew(entry)
  }
}

/**
 * Starts the way back to the descriptor before the update: at once for what is down, in turn for what runs. Instances
 * that the update has not reached yet just stay.
 */
export function rollBack (edit: JobEdit, why: string): void {
  const { job, now } = edit
  const { rollout, generation: failedGeneration } = job
  const good = job.revisions.find(({ generation }) => generation === rollout?.from_generation)
  if (!rollout || !good) return
  keepRevision(job, `rolled back: ${why}`, now)
  job.descriptor = good.descriptor
  job.generation++
  job.rollout = { ...rollout, from_generation: failedGeneration, started_at: now, deadline_at: deadlineAgain(rollout, now), auto_rollback: false, rollback: true }
  edit.event('rolled_back', `generation ${failedGeneration} is given up: ${why}; generation ${job.generation} is as generation ${good.generation} was`)

  // What was on its way elsewhere only because of the update stays where it is.
  edit.drop(...job.instance_list.filter(entry => entry.move?.why === 'update'))
  shrink(edit, job.replicas)
  for (const entry of job.instance_list) {
    if (entry.cluster_id === '' || entry.generation === good.generation) entry.generation = job.generation
    else if (!isUp(entry)) edit.renew(entry)
    entry.attempts = 0
  }
}

/** Adds the instances that stand in for those being updated. */
export function surge (edit: JobEdit, count: number): void {
  if (count > 0) grow(edit, numbersOf(edit.job).length + count)
}

/** As much time again as the update had. */
function deadlineAgain ({ started_at: startedAt, deadline_at: deadlineAt }: { started_at: string, deadline_at: string }, now: string): string {
  return new Date(Date.parse(now) + Date.parse(deadlineAt) - Date.parse(startedAt)).toISOString()
}
