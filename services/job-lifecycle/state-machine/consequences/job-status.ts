import type { Job } from '../../../../schemas/job.js'
import { effective } from '../instances.js'
import type { JobEdit } from '../job-edit.js'
import { worst } from '../transitions.js'

/** The status of a job is that of its worst instance, with the reason. */
export function summarise (job: Job): void {
  const instances = effective(job)
  const instance = worst(instances)
  if (!instance) {
    // The one status of the contract that neither promises nor hides anything: there is nothing left to do.
    Object.assign(job, { status: 'COMPLETED', status_reason: 'scaled to 0 instances' })
    return
  }
  job.status = instance.status
  job.status_reason = instance.status_reason &&
    (instances.length > 1 ? `instance ${instance.instance_number}: ${instance.status_reason}` : instance.status_reason)
}

/** The end of a job: no cluster holds anything of it, its addresses go back to the pool. */
export function finishUndeploy (edit: JobEdit): void {
  const { job } = edit
  if (job.retiring.length > 0 || job.status === 'UNDEPLOYED') return
  Object.assign(job, { status: 'UNDEPLOYED', status_reason: null, service_ip_list: [], instance_list: [] })
  edit.event('undeployed', `${job.job_name} is gone, its addresses are free`)
}
