import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'
import { clusterCause } from '../wording.js'

/**
 * A cluster is an original one from now on, or none any more: it registered otherwise than before, or what was placed
 * there was stored before that was noted. What else is up there than before has its time to say more.
 */
export function registeredAs (
  job: Job,
  clusterId: ClusterId,
  original: boolean,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  const kind = original ? 'an original cluster, where DEPLOYED is up' : 'no original cluster any more'
  for (const entry of edit.job.instance_list) {
    if (entry.cluster_id !== clusterId || entry.original === original) continue
    Object.assign(entry, { original, deadline_from: edit.now })
    edit.event('details', `instance ${entry.instance_number} is on ${kind}`, {
      instance_number: entry.instance_number,
      cluster_id: clusterId
    })
  }
  for (const entry of edit.job.retiring) {
    if (entry.cluster_id !== clusterId || entry.original === original) continue
    entry.original = original
    edit.event('details', `what is to be removed is on ${kind}`, { cluster_id: clusterId })
  }
  return edit.done()
}
