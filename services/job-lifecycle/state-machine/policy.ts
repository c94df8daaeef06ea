import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Instance } from '../../../schemas/job.js'
import { runs } from '../../../schemas/job-facts.js'
import { CLUSTER_REFUSALS, type Status } from '../../../schemas/status.js'

/** The deadlines of the lifecycle, in milliseconds, and how often it tries. */
export interface Policy {
  /** For a cluster to begin with an instance that it was sent. */
  scheduledMs: number
  /** For an instance that its cluster has begun with to run. */
  startingMs: number
  /** For a cluster to bring back what stopped, or to find room for what it refused. */
  stoppedMs: number
  /** Starts that may fail before an instance is given up. */
  maxAttempts: number
  /** For a move that a user asked for. */
  moveMs: number
  /** For a cluster to confirm a removal, before the addresses of what it has to remove are free. */
  addressHoldMs: number
  /** For an update to get through all instances, unless the descriptor sets a deadline. */
  rolloutMs: number
}

/** The longest deadline that an instance may have, in milliseconds; those of updates may be longer. */
export function longestDeadline ({ scheduledMs, startingMs, stoppedMs, moveMs, rolloutMs }: Policy): number {
  return Math.max(scheduledMs, startingMs, stoppedMs, moveMs, rolloutMs)
}

/** Milliseconds that an instance on a cluster may stay in its status; undefined for as long as it likes. */
export function deadlineOf (
  instance: Pick<Instance, 'status' | 'original'>,
  policy: Policy
): number | undefined {
  const { status } = instance
  if (runs(instance)) return undefined
  switch (status) {
    case 'CLUSTER_SCHEDULED':
    case 'NODE_SCHEDULED':
      return policy.scheduledMs
    case 'CREATING':
    case 'CREATED':
    case 'DEPLOYED':
      return policy.startingMs
    case 'FAILED':
    case 'DEAD':
      return policy.stoppedMs
  }
  return (CLUSTER_REFUSALS as readonly Status[]).includes(status) ? policy.stoppedMs : undefined
}

/** How an update goes through the instances of a job, with the defaults for what the descriptor leaves out. */
export function rolloutOf (
  { rollout }: Descriptor,
  policy: Policy
): { maxUnavailable: number, maxSurge: number, deadlineMs: number, autoRollback: boolean } {
  const {
    max_unavailable: maxUnavailable = 0,
    max_surge: maxSurge = 0,
    deadline_s: deadlineS,
    auto_rollback: autoRollback = true
  } = rollout ?? {}
  return {
    // With neither of the two an update could not begin.
    maxUnavailable: maxSurge > 0 ? maxUnavailable : Math.max(1, maxUnavailable),
    maxSurge,
    deadlineMs: deadlineS === undefined ? policy.rolloutMs : deadlineS * 1000,
    autoRollback
  }
}
