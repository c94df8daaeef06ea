import type { Instance, Job } from '../../../schemas/job.js'
import type { JobChange } from '../../../stores/store.js'
import { rollBack } from '../consequences/rollout.js'
import { sourceOf, successorOf } from '../instances.js'
import { editJob, type JobEdit } from '../job-edit.js'
import { deadlineOf, type Policy } from '../policy.js'
import { rememberRefusal } from '../refusals.js'
import { giveUpMove } from './move.js'

/** When an instance has been as it is for too long, Unix milliseconds; Infinity for never. */
function overdueAt (job: Job, entry: Instance, policy: Policy): number {
  const { move } = entry
  const source = sourceOf(job, entry)
  const moveEnd = move && source && isUserMove(move) ? Date.parse(move.since) + policy.moveMs : Infinity
  if (entry.cluster_id === '' || entry.silent || entry.attempts >= policy.maxAttempts || successorOf(job, entry)) return moveEnd
  const patience = deadlineOf(entry.status, policy)
  return Math.min(moveEnd, patience === undefined ? Infinity : Date.parse(entry.status_since) + patience)
}

/** A drain and a failover have to come to an end somewhere; a user or an update can do with a move that failed. */
function isUserMove ({ why }: NonNullable<Instance['move']>): boolean {
  return why === 'asked' || why === 'update'
}

/** When the job has to be looked at again if nothing happens before: ISO time, null for never. */
export function dueAt (job: Job, policy: Policy): string | null {
  if (job.desired_state !== 'running') return null
  const times = job.instance_list.map(entry => overdueAt(job, entry, policy))
  if (job.rollout) times.push(Date.parse(job.rollout.deadline_at))
  const first = Math.min(...times)
  return Number.isFinite(first) ? new Date(first).toISOString() : null
}

/**
 * Time is up for something of this job: an instance that did not start is tried elsewhere, in the end left FAILED with
 * its story; a move is given up; an update goes back.
 */
export function overdue (job: Job, policy: Policy, cause: string, at = new Date()): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of [...edit.job.instance_list]) {
    if (overdueAt(edit.job, entry, policy) <= at.getTime()) endPatience(edit, entry, policy)
  }
  const { rollout } = edit.job
  if (rollout && Date.parse(rollout.deadline_at) <= at.getTime()) {
    if (rollout.auto_rollback) rollBack(edit, `it did not get through all instances by ${rollout.deadline_at}`)
    if (edit.job.rollout === rollout) {
      edit.job.rollout = null
      edit.event('rollout_ended', `generation ${edit.job.generation} did not get through all instances by ${rollout.deadline_at}`)
    }
  }
  return edit.done()
}

function endPatience (edit: JobEdit, entry: Instance, policy: Policy): void {
  const source = sourceOf(edit.job, entry)
  const story = `${entry.status} since ${entry.status_since}${entry.status_reason ? ` (${entry.status_reason})` : ''}`
  if (source && entry.move && isUserMove(entry.move)) {
    giveUpMove(edit, entry, source, entry.cluster_id === '' ? `no place was found for it: ${entry.status_reason ?? entry.status}` : `at ${entry.cluster_id} it was ${story}`)
    return
  }
  entry.attempts++
  rememberRefusal(entry, `was ${story}`, edit.now)
  if (entry.attempts >= policy.maxAttempts) {
    const told = entry.refusals.slice(-policy.maxAttempts).map(({ cluster_id: clusterId, error }) => `${clusterId} ${error}`).join('; ')
    const reason = `given up after ${entry.attempts} starts: ${told}`
    // It stays where it was tried last, so that it shows should it run there after all.
    if (!edit.move(entry, 'gave_up', 'FAILED', reason)) entry.status_reason = reason
    edit.event('gave_up', `instance ${entry.instance_number}: ${reason}`, { instance_number: entry.instance_number, cluster_id: entry.cluster_id })
    return
  }
  edit.event('retried', `instance ${entry.instance_number} was ${story}: it is tried elsewhere, start ${entry.attempts + 1} of ${policy.maxAttempts}`, { instance_number: entry.instance_number, cluster_id: entry.cluster_id })
  edit.recall(entry, 'removed')
  edit.move(entry, 'recalled', 'REQUESTED', `was ${story}: to be tried elsewhere`)
}
