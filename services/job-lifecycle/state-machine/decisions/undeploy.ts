import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'

/**
 * Commands every cluster of the job to remove it. Called again, it repeats the command for those that refused.
 * @param force The job is UNDEPLOYED and its addresses are free at once, though its clusters have yet to remove it.
 */
export function undeploying (job: Job, cause: string, { force = false, at = new Date() } = {}): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of edit.job.retiring) if (entry.error !== null) edit.resend(entry.cluster_id)
  if (job.desired_state === 'running') {
    edit.event('undeploying', `${job.job_name} is being removed`)
    Object.assign(edit.job, {
      desired_state: 'undeployed',
      status: 'UNDEPLOYING',
      status_reason: 'being removed: its clusters have not confirmed yet',
      instance_list: [],
      rollout: null
    })
  }
  if (force) edit.release(() => true)
  return edit.done()
}
