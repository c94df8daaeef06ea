import type { Instance, Job } from '../../../schemas/job.js'

/**
 * Where an instance may go when its cluster is lost: anywhere with `failover: any`; where the descriptor says, if that
 * names no place, or if a move took the instance elsewhere; else nowhere (undefined): the descriptor ties it there.
 */
export function failoverTargetOf ({ descriptor }: Job, { location }: Instance): Pick<Instance, 'location'> | undefined {
  if (descriptor.failover === 'any' || location === '') return { location: '' }
  const pinned = descriptor.cluster_location ?? descriptor.node
  const isElsewhere = location !== null && location !== pinned
  return pinned === undefined || isElsewhere ? { location: null } : undefined
}
