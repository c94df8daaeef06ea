import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { newInstance, sourceOf, successorOf } from '../instances.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'
import { failoverTargetOf } from '../failover-target.js'

/**
 * A cluster has been silent for too long. What it runs is DEAD as far as anyone can tell. Where the descriptor permits,
 * it is started elsewhere, and leaves the silent cluster only when it runs there. What has COMPLETED stays so.
 */
export function evicted (
  job: Job,
  clusterId: ClusterId,
  clusterName: string,
  cause: string,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, cause, at)
  stopWaitingFor(edit, clusterId)
  for (const entry of silentOn(edit.job, clusterId)) {
    const failoverTarget = failoverTargetOf(edit.job, entry)
    const isMoving = sourceOf(edit.job, entry) !== undefined
    const isLeaving = successorOf(edit.job, entry) !== undefined
    const reason = `${clusterName} gives no sign of ` +
      `life${failoverTarget || isMoving || isLeaving ? '' : ', and the descriptor pins it there'}`
    markSilent(edit, entry, reason)
    if (isMoving) {
      // It was only on its way here.
      edit.recall(entry, 'removed', reason)
    } else if (failoverTarget && !isLeaving) {
      edit.job.instance_list.push(newInstance(entry.instance_number, edit.job.generation, edit.now, {
        ...failoverTarget,
        instance_ip: entry.instance_ip,
        move: { from: clusterId, why: 'failover', since: edit.now }
      }))
    }
  }
  return edit.done()
}

/**
 * A cluster has been silent for too long, like most others: that may be the fault of this System Manager. What it runs
 * shows that nobody knows, and is not started elsewhere yet.
 */
export function silenced (
  job: Job,
  clusterId: ClusterId,
  clusterName: string,
  cause: string,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of silentOn(edit.job, clusterId)) {
    markSilent(
      edit,
      entry,
      `${clusterName} gives no sign of life, like most clusters: it may still run, and is not started elsewhere yet`
    )
  }
  return edit.done()
}

/** What is done or given up does not run: there is nothing to start elsewhere. */
function silentOn ({ instance_list: list }: Job, clusterId: ClusterId): Instance[] {
  return list.filter(entry => entry.cluster_id === clusterId && !entry.given_up && entry.status !== 'COMPLETED')
}

function markSilent (edit: JobEdit, entry: Instance, reason: string): void {
  if (entry.silent && entry.status_reason === reason) return
  entry.silent = true
  if (!edit.move(entry, 'lost', 'DEAD', reason)) entry.status_reason = reason
  edit.event('lost', `instance ${entry.instance_number}: ${reason}`, {
    instance_number: entry.instance_number,
    cluster_id: entry.cluster_id
  })
}

/** A lost cluster speaks again: its reports count, and the deadlines of its instances start now. */
export function recovered (
  job: Job,
  clusterId: ClusterId,
  clusterName: string,
  cause: string,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of edit.job.instance_list) {
    if (entry.cluster_id !== clusterId || !entry.silent) continue
    entry.silent = false
    // It may have refused what the instance awaits, and nobody would ask it again while a successor is on its way.
    if (entry.awaits !== null && !entry.original) edit.resend(clusterId)
    edit.move(entry, 'recovered', 'NODE_SCHEDULED', `${clusterName} is back and has not reported yet`)
    edit.event('recovered', `instance ${entry.instance_number}: ${clusterName} is back`, {
      instance_number: entry.instance_number,
      cluster_id: clusterId
    })
  }
  return edit.done()
}

/** A cluster was deleted: its instances are placed anew, and what it still had to remove is gone with it. */
export function forgotten (job: Job, clusterId: ClusterId, cause: string, at = new Date()): JobChange | undefined {
  const edit = editJob(job, cause, at)
  edit.forget(clusterId)
  stopWaitingFor(edit, clusterId)
  for (const entry of [...edit.job.instance_list]) {
    if (entry.cluster_id === clusterId) edit.recall(entry, 'removed', 'its cluster was deleted')
  }
  edit.job.removals = edit.job.removals.filter(entry => entry.cluster_id !== clusterId)
  const remaining = edit.job.retiring.filter(entry => entry.cluster_id !== clusterId)
  if (remaining.length < edit.job.retiring.length) {
    edit.job.retiring = remaining
    edit.event('retired', 'the cluster was deleted', { cluster_id: clusterId })
  }
  return edit.done()
}

/** Ends the wait of instances that this cluster had to remove first. */
function stopWaitingFor (edit: JobEdit, clusterId: ClusterId): void {
  const { job } = edit
  const removals = new Set<string | null>(
    job.retiring.filter(entry => entry.cluster_id === clusterId).map(entry => entry.command_id)
  )
  for (const entry of job.instance_list) {
    if (entry.cluster_id !== '' || !removals.has(entry.awaits)) continue
    entry.awaits = null
    edit.event('moving', `instance ${entry.instance_number} no longer waits for ${clusterId} to remove it`, {
      instance_number: entry.instance_number,
      cluster_id: clusterId
    })
  }
}
