import type { Instance, Job } from '../../../schemas/job.js'

/**
 * Where an instance may go when its cluster is lost: anywhere with `failover: any`; where the descriptor says, if that
 * names no place; else nowhere (undefined).
 */
export function failoverTargetOf ({ descriptor }: Job, { location }: Instance): Pick<Instance, 'location'> | undefined {
  if (descriptor.failover === 'any') return { location: '' }
  const pinned = location ?? descriptor.cluster_location ?? descriptor.node ?? ''
  return pinned === '' ? { location } : undefined
}
