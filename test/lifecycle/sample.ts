import type { Descriptor } from '../../schemas/descriptor.js'
import type { Job } from '../../schemas/job.js'
import type { JobChange } from '../../stores/store.js'
import { created } from '../../services/job-lifecycle/decisions/deploy.js'
import { placed } from '../../services/job-lifecycle/decisions/placement.js'
import { policyOf } from '../../services/job-lifecycle/policy.js'
import { readConfig } from '../../plugins/config.js'

/** The default patience. */
export const POLICY = policyOf(readConfig({}))

export const HPI = 'aaaaaaaaaaaaaaaaaaaaaaaa'
export const TUM = 'bbbbbbbbbbbbbbbbbbbbbbbb'

export function sampleDescriptor (more: Partial<Descriptor> = {}): Descriptor {
  return {
    api_version: 'v0.1',
    app_name: 'demo',
    app_ns: 'default',
    service_name: 'service1',
    service_ns: 'test',
    image: 'nginx:alpine',
    image_runtime: 'docker',
    ...more
  }
}

/** What the store does with a change, as far as the next decision sees it: addresses and the revision. */
export function stored (change: JobChange | undefined): Job {
  if (!change) throw new Error('there is no change to store')
  const { job } = change
  let next = 1
  const address = (given: string) => given || `172.30.0.${next++}`
  return {
    ...job,
    revision: job.revision + 1,
    service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: address(entry.Address) })),
    instance_list: job.instance_list.map(instance => ({ ...instance, instance_ip: address(instance.instance_ip) }))
  }
}

/** A job whose instances are on these clusters, in order. */
export function placedJob (clusterIds: string[], more: Partial<Descriptor> = {}): Job {
  const job = stored(created(sampleDescriptor({ replicas: clusterIds.length, ...more }), 'user'))
  return stored(placed(job, {
    kind: 'placed',
    assignments: clusterIds.map((cluster_id, instance_number) => ({ instance_number, cluster_id })),
    explanation: { decided_at: job.created_at, outcome: 'placed', summary: 'placed', clusters: [], omitted: 0 }
  }, 'scheduler'))
}
