import type { ClusterId } from './cluster.js'
import type { Descriptor } from './descriptor.js'
import type { Instance, Job } from './job.js'

/** An entry of the contract's instance_list (section 7), with our own fields: its status and generation. */
export function contractInstance (instance: Instance): Record<string, unknown> {
  return {
    instance_number: instance.instance_number,
    instance_ip: instance.instance_ip,
    cluster_id: instance.cluster_id,
    namespace_ip: instance.namespace_ip,
    host_ip: instance.host_ip,
    host_port: instance.host_port ?? '',
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

/**
 * A job as one cluster gets it (contract sections 3 and 5), with the descriptor that its instances there are to run.
 * While an update is under way that may be an earlier one: a cluster that lost its containers would start the newer one
 * too early, and nobody would know.
 */
export function jobForCluster (job: Job, clusterId: ClusterId): Record<string, unknown> {
  return jobWithPlainId({ ...job, descriptor: descriptorOn(job, clusterId) })
}

/** {@link jobForCluster} as JSON, for any number of clusters. */
export function jobTexts (job: Job): (clusterId: ClusterId) => string {
  const texts = new Map<Descriptor, string>()
  return clusterId => {
    const descriptor = descriptorOn(job, clusterId)
    const text = texts.get(descriptor) ?? JSON.stringify(jobWithPlainId({ ...job, descriptor }))
    texts.set(descriptor, text)
    return text
  }
}

/** That of the newest instance there: an older one follows it in its own time, which its `generation` says. */
function descriptorOn (job: Job, clusterId: ClusterId): Descriptor {
  const here = job.instance_list.filter(entry => entry.cluster_id === clusterId)
  const newest = Math.max(...here.map(entry => entry.generation))
  return job.revisions.find(revision => revision.generation === newest)?.descriptor ?? job.descriptor
}

/** A job with `_id` as a plain string. */
export function jobWithPlainId (job: Job): Record<string, unknown> {
  return { _id: job.id, ...contractJob(job) }
}
