import type { Instance, Job } from './job.js'

/** An entry of the contract's instance_list (section 7), with our own fields: its status and generation. */
export function contractInstance (instance: Instance): Record<string, unknown> {
  return {
    instance_number: instance.instance_number,
    instance_ip: instance.instance_ip,
    cluster_id: instance.cluster_id,
    namespace_ip: instance.namespace_ip,
    host_ip: instance.host_ip,
    host_port: instance.host_port,
    status: instance.status,
    status_reason: instance.status_reason,
    status_since: instance.status_since,
    generation: instance.generation
  }
}

/**
 * The document of jobs.jobs (contract section 7) without `_id`: every field of the descriptor at top level, then the
 * fields of the contract, which take precedence. Our own fields are under `system_manager`.
 */
function contractJob (job: Job): Record<string, unknown> {
  const document: Record<string, unknown> = {
    ...job.descriptor,
    job_name: job.job_name,
    status: job.status,
    replicas: job.replicas,
    service_ip_list: job.service_ip_list,
    instance_list: job.instance_list.map(contractInstance),
    system_manager: {
      desired_state: job.desired_state,
      status_reason: job.status_reason,
      generation: job.generation,
      revision: job.revision,
      created_at: job.created_at,
      updated_at: job.updated_at
    }
  }
  // A descriptor may have any field, but must not set the identity of the job.
  delete document._id
  return document
}

/** A job as GET /api/jobs shows it (contract section 1): `_id` in MongoDB's Extended JSON. */
export function jobWithOid (job: Job): Record<string, unknown> {
  return { _id: { $oid: job.id }, ...contractJob(job) }
}

/** A job as clusters get it (contract sections 3 and 5): `_id` as a plain string. */
export function jobWithPlainId (job: Job): Record<string, unknown> {
  return { _id: job.id, ...contractJob(job) }
}
