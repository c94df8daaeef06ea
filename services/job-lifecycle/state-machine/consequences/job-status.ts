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
  const { instance_number: number, status_reason: reason } = instance
  job.status_reason = reason === null
    ? waitingReason(job)
    : instances.length > 1 ? `instance ${number}: ${reason}` : reason
}

/** What runs hides that its successor has no place yet. */
function waitingReason (job: Job): string | null {
  const waiting = job.instance_list.find(entry => entry.move !== null && entry.cluster_id === '')
  if (!waiting) return null
  const { instance_number: number, move, awaits, status_reason: reason } = waiting
  const what = move?.why === 'update' || job.rollout ? `generation ${job.generation}` : 'a move'
  const why = reason ?? (awaits === null ? 'it has no place yet' : 'its cluster has to remove it first')
  return `${what} waits: instance ${number}: ${why}`
}

/** The end of a job: no cluster holds anything of it, or is waited for. Its addresses go back to the pool. */
export function finishUndeploy (edit: JobEdit): void {
  const { job } = edit
  if (job.retiring.some(({ released }) => !released) || job.status === 'UNDEPLOYED') return
  Object.assign(job, { status: 'UNDEPLOYED', status_reason: null, service_ip_list: [], instance_list: [] })
  edit.event('undeployed', `${job.job_name} is gone, its addresses are free`)
}
