import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Job } from '../../../../schemas/job.js'
import { WAY_UP, type Status } from '../../../../schemas/status.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'
import { rememberRemoval, rememberWord } from '../old-words.js'
import { clusterCause } from '../wording.js'

/** Its cluster has begun with it, and it has not ended. What stopped or was refused waits for its deadline. */
const BEGUN: readonly Status[] = WAY_UP.slice(WAY_UP.indexOf('NODE_SCHEDULED'))

/**
 * A cluster does not report instances that it had begun with: the command is sent again. It is asked, and told to
 * remove nothing: it may run them all the same.
 */
export function missing (
  job: Job,
  clusterId: ClusterId,
  isLacking: (instanceNumber: number) => boolean = () => true,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  const entries = edit.job.instance_list.filter(entry =>
    entry.cluster_id === clusterId && entry.awaits === null && BEGUN.includes(entry.status) &&
    isLacking(entry.instance_number)
  )
  if (entries.length === 0) return undefined
  edit.resend(clusterId)
  for (const entry of entries) {
    edit.move(entry, 'renewed', 'CLUSTER_SCHEDULED', 'its cluster no longer reports it: the command was sent again')
  }
  edit.event('resent', 'the cluster no longer reports it: the command was sent again', { cluster_id: clusterId })
  return edit.done()
}

/**
 * An original cluster reports a job that it should not run, as it does for ever (contract section 10): what it says is
 * remembered. Of an undeployed job that it was told of before removals were noted, that is noted now.
 */
export function strayed (job: Job, clusterId: ClusterId, told: Status, at = new Date()): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  const isNoted = [...job.retiring, ...job.removals].some(entry => entry.cluster_id === clusterId)
  if (!isNoted && job.desired_state === 'undeployed') rememberRemoval(edit, clusterId, null)
  rememberWord(edit, clusterId, told)
  return edit.done()
}

/** A cluster still reports a job after it acknowledged the removal: the removal is sent again. */
export function lingering (job: Job, clusterId: ClusterId, at = new Date()): JobChange | undefined {
  if (
    job.instance_list.some(entry => entry.cluster_id === clusterId) ||
    job.retiring.some(entry => entry.cluster_id === clusterId)
  ) return undefined
  const edit = editJob(job, clusterCause(clusterId), at)
  edit.resend(clusterId)
  edit.event('resent', 'the cluster still reports it: the removal was sent again', { cluster_id: clusterId })
  return edit.done()
}
