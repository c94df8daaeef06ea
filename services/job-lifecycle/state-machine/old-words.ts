import type { ClusterId } from '../../../schemas/cluster.js'
import { MAX_REMOVALS, type Instance, type Job } from '../../../schemas/job.js'
import { hasBegun } from '../../../schemas/job-facts.js'
import type { Status } from '../../../schemas/status.js'
import type { JobEdit } from './job-edit.js'

/**
 * An original cluster never forgets a job (contract section 10): of one that it has removed it goes on saying what it
 * said last, also once the job runs there again. That is an old word until it says anything else, or by `result` where
 * the job runs now.
 */

export function isOldWord (job: Job, { cluster_id: clusterId, told, original }: Instance, word: Status): boolean {
  return original && told === null &&
    job.removals.some(entry => entry.cluster_id === clusterId && entry.told === word)
}

/** Whether an old word may hide how far an instance is: its cluster had begun with the one that it removed. */
export function mayRepeatOldWord (job: Job, { cluster_id: clusterId, told, status, original }: Instance): boolean {
  return original && told === null && status === 'CLUSTER_SCHEDULED' &&
    job.removals.some(entry => entry.cluster_id === clusterId && hasBegun(entry.told))
}

/** The cluster has removed the job. @param told What it last said of it; null: nothing since the removal before. */
export function rememberRemoval ({ job, now }: JobEdit, clusterId: ClusterId, told: Status | null): void {
  const before = job.removals.find(entry => entry.cluster_id === clusterId)
  job.removals = [
    ...job.removals.filter(entry => entry !== before),
    { cluster_id: clusterId, at: now, told: told ?? before?.told ?? null }
  ].slice(-MAX_REMOVALS)
}

/** What an original cluster says of a job that it has removed, or has to remove, while it was sent nothing newer. */
export function rememberWord (edit: JobEdit, clusterId: ClusterId, word: Status): void {
  const { retiring, removals } = edit.job
  const leaving = retiring.filter(entry => entry.cluster_id === clusterId && entry.original)
  for (const entry of leaving) {
    if (entry.told === word || !hasBegun(word)) continue
    entry.told = word
    edit.event('details', `what the cluster is to remove is ${word} there`, { cluster_id: clusterId })
  }
  if (leaving.length > 0) return
  const removal = removals.find(entry => entry.cluster_id === clusterId)
  if (!removal || removal.told === word) return
  removal.told = word
  edit.event('details', `the cluster goes on saying ${word} of what it has removed`, { cluster_id: clusterId })
}
