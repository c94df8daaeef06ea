import type { ClusterId } from '../../../schemas/cluster.js'
import type { Instance, Job } from '../../../schemas/job.js'
import type { JobChange } from '../../../stores/store.js'
import { newInstance, sourceOf, successorOf } from '../instances.js'
import { editJob, type JobEdit } from '../job-edit.js'

/** Where an instance may go when its cluster is lost: nowhere, where the descriptor says, anywhere. */
function refuge ({ descriptor }: Job, { location }: Instance): Pick<Instance, 'location'> | undefined {
  if (descriptor.failover === 'any') return { location: '' }
  const pinned = location ?? (descriptor.cluster_location ?? descriptor.node)
  return pinned === undefined || pinned === '' ? { location } : undefined
}

/**
 * A cluster has been silent for too long. What it runs is DEAD as far as anyone can tell; it is started elsewhere
 * where the descriptor permits, and taken from the silent cluster only when it runs there.
 */
export function lost (job: Job, clusterId: ClusterId, clusterName: string, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  stopWaitingFor(edit, clusterId)
  for (const entry of [...edit.job.instance_list]) {
    if (entry.cluster_id !== clusterId || entry.silent) continue
    const refugeFound = refuge(job, entry)
    entry.silent = true
    const reason = `${clusterName} gives no sign of life${refugeFound || entry.move ? '' : ', and the descriptor ties it to there'}`
    if (!edit.move(entry, 'lost', 'DEAD', reason)) entry.status_reason = reason
    edit.event('lost', `instance ${entry.instance_number}: ${reason}`, { instance_number: entry.instance_number, cluster_id: clusterId })
    const source = sourceOf(edit.job, entry)
    if (source) {
      // It was only on its way here.
      edit.recall(entry, 'removed')
      edit.move(entry, 'recalled', 'REQUESTED', reason)
      continue
    }
    const successor = successorOf(edit.job, entry)
    // Whatever it was to move for, it now has to come to an end elsewhere.
    if (successor?.move) {
      successor.move.why = 'failover'
    } else if (refugeFound) {
      edit.job.instance_list.push(newInstance(entry.instance_number, edit.job.generation, edit.now, {
        ...refugeFound, instance_ip: entry.instance_ip, move: { from: clusterId, why: 'failover', since: edit.now }
      }))
    }
  }
  return edit.done()
}

/** A cluster that was lost speaks again: what it says of its instances counts, and their deadlines run on from now. */
export function recovered (job: Job, clusterId: ClusterId, clusterName: string, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  for (const entry of edit.job.instance_list) {
    if (entry.cluster_id !== clusterId || !entry.silent) continue
    Object.assign(entry, { silent: false, status_since: edit.now, status_reason: `${clusterName} is back and has not told yet` })
    edit.event('recovered', `instance ${entry.instance_number}: ${clusterName} is back`, { instance_number: entry.instance_number, cluster_id: clusterId })
  }
  return edit.done()
}

/** A cluster was forgotten: its instances are placed anew, and what it was still to remove is gone with it. */
export function forgotten (job: Job, clusterId: ClusterId, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  edit.forget(clusterId)
  stopWaitingFor(edit, clusterId)
  for (const entry of [...edit.job.instance_list]) {
    if (entry.cluster_id !== clusterId) continue
    if (successorOf(edit.job, entry)) {
      edit.drop(entry)
    } else {
      edit.move(entry, 'recalled', 'REQUESTED', 'its cluster was deleted')
      edit.recall(entry, 'gone')
    }
  }
  const remaining = edit.job.retiring.filter(entry => entry.cluster_id !== clusterId)
  if (remaining.length < edit.job.retiring.length) {
    edit.job.retiring = remaining
    edit.event('retired', 'the cluster was deleted', { cluster_id: clusterId })
  }
  return edit.done()
}

/** Instances that wait for this cluster to remove them first do not any longer. */
function stopWaitingFor ({ job }: JobEdit, clusterId: ClusterId): void {
  const removals = new Set(job.retiring.filter(entry => entry.cluster_id === clusterId).map(entry => entry.command_id))
  for (const entry of job.instance_list) {
    if (entry.cluster_id === '' && entry.awaits !== null && removals.has(entry.awaits)) entry.awaits = null
  }
}
