import type { Job } from './job.js'

/**
 * The document of jobs.jobs (contract section 7) without `_id`: every field of the descriptor at top level, then the
 * contract's own, which win. Instances also tell their status; all else of ours is under `system_manager`.
 */
export function contractJob (job: Job): Record<string, unknown> {
  return {
    ...job.descriptor,
    job_name: job.job_name,
    status: job.status,
    replicas: job.replicas,
    service_ip_list: job.service_ip_list,
    instance_list: job.instance_list.map(instance => ({
      instance_number: instance.instance_number,
      instance_ip: instance.instance_ip,
      cluster_id: instance.cluster_id,
      namespace_ip: instance.namespace_ip,
      host_ip: instance.host_ip,
      host_port: instance.host_port,
      status: instance.status,
      status_reason: instance.status_reason,
      status_since: instance.status_since
    })),
    system_manager: {
      desired_state: job.desired_state,
      status_reason: job.status_reason,
      generation: job.generation,
      revision: job.revision,
      created_at: job.created_at,
      updated_at: job.updated_at
    }
  }
}

/** As GET /api/jobs shows it (contract section 1): `_id` in the form of MongoDB's Extended JSON. */
export function jobWithOid (job: Job): Record<string, unknown> {
  return { ...contractJob(job), _id: { $oid: job.id } }
}

/** As clusters get it (contract sections 3 and 5): `_id` as a plain string. */
export function jobWithPlainId (job: Job): Record<string, unknown> {
  return { ...contractJob(job), _id: job.id }
}
