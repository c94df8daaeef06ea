import { jobWithPlainId } from '../../../schemas/job-document.js'
import type { Job } from '../../../schemas/job.js'
import { SchedulerRefusal } from './call.js'
import type { Link } from './link.js'

/**
 * Asks about the unplaced instances of a job (contract section 4): /api/calculate/deploy while none of them has a
 * cluster, else /api/calculate/replicate.
 */
export async function ask (link: Link, job: Job): Promise<void> {
  if (!job.instance_list.some(instance => instance.cluster_id !== '')) return await askToDeploy(link, job)
  try {
    await link.ask('/api/calculate/replicate', {
      job: withRequirements(jobWithPlainId(job)),
      replicas: job.instance_list.length
    }, { optional: true })
  } catch (err) {
    // The original fails on every such question; the other one gets a cluster just as well.
    if (!(err instanceof SchedulerRefusal)) throw err
    await askToDeploy(link, job)
  }
}

function askToDeploy (link: Link, job: Job): Promise<void> {
  // The generation comes back where the scheduler echoes the job, and shows an answer about an earlier descriptor.
  const described = {
    ...job.descriptor,
    _id: job.id,
    job_name: job.job_name,
    system_manager: { generation: job.generation }
  }
  return link.ask('/api/calculate/deploy', { job: withRequirements(described), system_job_id: job.id })
}

/** The original computes with both figures, and drops a question that lacks one. */
function withRequirements (document: Record<string, unknown>): Record<string, unknown> {
  return { ...document, requirements: { cpu: 0, memory: 0, ...document.requirements as object | undefined } }
}
