import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'
import { clusterCause } from '../wording.js'

/**
 * Why a command is neither acknowledged nor refused yet, to show on the job until something newer is known.
 * @param reason One sentence; null once the cluster was reached.
 */
export function delivery (job: Job, clusterId: ClusterId, reason: string | null): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  let changesStatus = false
  for (const instance of edit.job.instance_list) {
    if (
      instance.cluster_id !== clusterId || instance.status !== 'CLUSTER_SCHEDULED' || instance.status_reason === reason
    ) continue
    instance.status_reason = reason
    changesStatus = true
  }
  if (job.desired_state === 'undeployed' && job.retiring.some(entry => entry.cluster_id === clusterId)) {
    const status = `being removed: ${reason ?? 'its clusters have not confirmed yet'}`
    changesStatus ||= status !== job.status_reason
    edit.job.status_reason = status
  }
  if (!changesStatus) return undefined
  edit.event('delivery', reason ?? 'the cluster was reached', { cluster_id: clusterId })
  return edit.done()
}
