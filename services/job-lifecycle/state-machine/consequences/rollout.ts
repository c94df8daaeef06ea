import { CLUSTER_REFUSALS, type Status } from '../../../../schemas/status.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import { isToldApart, isUp, mayRun, sourceOf, successorOf } from '../instances.js'
import type { JobEdit } from '../job-edit.js'
import { keepRevision, resize } from '../scaling.js'
import { callOffMove } from './moves.js'

const FAILURES: readonly Status[] = ['FAILED', 'DEAD', ...CLUSTER_REFUSALS]

/**
 * Takes the next steps of an update. It renews what is down already, and of what runs as many instances as may be
 * unavailable. When all run, the update ends; when one fails, it is rolled back. What was out of reach follows later,
 * one at a time.
 */
export function continueRollout (edit: JobEdit): void {
  const { job } = edit
  const { rollout } = job
  // Where an instance is moving, its successor has the new descriptor already.
  const reachable = job.instance_list.filter(entry =>
    entry.cluster_id !== '' && !entry.silent && !successorOf(job, entry)
  )

  if (rollout?.auto_rollback) {
    const failed = reachable.find(entry => entry.generation === job.generation && FAILURES.includes(entry.status))
    if (
      failed &&
      rollBack(
        edit,
        rollout,
        `instance ${failed.instance_number} is ` +
          `${failed.status}${failed.status_reason ? ` (${failed.status_reason})` : ''}`
      )
    ) {
      return continueRollout(edit)
    }
  }

  const pending = reachable.filter(entry => entry.generation < job.generation)
  if (pending.length > 0) return renewNext(edit, pending, rollout?.max_unavailable ?? 1)
  // Where all that are placed are silent, nothing is known of how it went.
  if (reachable.length === 0 && job.instance_list.some(entry => entry.silent)) return
  if (!rollout || !reachable.every(isUp) || job.instance_list.some(entry => entry.move?.why === 'update')) return
  job.rollout = null
  resize(edit)
  edit.event(
    'rolled_out',
    `generation ${job.generation} is rolled out${rollout.rollback ? ', as before the update' : ''}`
  )
}

function renewNext (edit: JobEdit, pending: Instance[], maxUnavailable: number): void {
  const { job } = edit
  const up = new Set(
    job.instance_list.filter(entry => isUp(entry) || isDoubtful(job, entry)).map(entry => entry.instance_number)
  )
  let spare = up.size - (job.replicas - maxUnavailable)
  for (
    const entry of pending.sort((a, b) => Number(up.has(a.instance_number)) - Number(up.has(b.instance_number)))
  ) {
    if (up.has(entry.instance_number) && spare-- <= 0) break
    edit.renew(entry)
  }
}

/**
 * An instance of before the update of which nobody knows since then whether it runs. Its cluster left it out of a
 * report and was asked for it; or said in one word for all that it stopped, which may be one that was renewed.
 */
function isDoubtful (job: Job, entry: Instance): boolean {
  return job.rollout !== null && entry.generation < job.generation && entry.awaits === null && mayRun(entry) &&
    entry.status_since >= job.rollout.started_at && (entry.status === 'CLUSTER_SCHEDULED' || !isToldApart(job, entry))
}

/**
 * Starts the rollback to the descriptor before the update. It goes through the instances as the update did; those that
 * the update has not reached yet just stay.
 * @returns False when there is nothing to go back to.
 */
export function rollBack (edit: JobEdit, rollout: NonNullable<Job['rollout']>, why: string): boolean {
  const { job, now } = edit
  const { generation: failedGeneration } = job
  const { from_generation: goodGeneration } = rollout
  const good = job.revisions.find(({ generation }) => generation === goodGeneration)?.descriptor
  if (!good) return false
  keepRevision(job, `rolled back: ${why}`, now)
  // The address stays: the one before may belong to another job by now.
  const { RR_ip: wished, ...content } = good
  const address = job.service_ip_list[0]?.Address
  job.descriptor = wished === undefined || address === undefined ? content : { ...content, RR_ip: address }
  job.generation++
  job.rollout = {
    ...rollout,
    from_generation: failedGeneration,
    started_at: now,
    deadline_at: deadlineAgain(rollout, now),
    auto_rollback: false,
    rollback: true
  }
  edit.event(
    'rolled_back',
    `generation ${failedGeneration} failed: ${why}; generation ${job.generation} restores generation ${goodGeneration}`
  )

  for (const entry of [...job.instance_list]) {
    const source = sourceOf(job, entry)
    // What was to move only because of the update stays where it is.
    if (source && entry.move?.why === 'update') callOffMove(edit, entry, source)
    if (entry.cluster_id === '' || entry.generation === goodGeneration) entry.generation = job.generation
    entry.attempts = 0
  }
  return true
}

/** As much time again as there was from the start to the deadline. */
export function deadlineAgain (
  { started_at: startedAt, deadline_at: deadlineAt }: { started_at: string, deadline_at: string },
  now: string
): string {
  return new Date(Date.parse(now) + Date.parse(deadlineAt) - Date.parse(startedAt)).toISOString()
}
