import type { Descriptor } from '../../../schemas/descriptor.js'
import { CLUSTER_REFUSALS, type Status } from '../../../schemas/status.js'

/** How patient the lifecycle is. All times in milliseconds. */
export interface Policy {
  /** A cluster was told, and has not begun. */
  scheduledMs: number
  /** A cluster has begun, and the instance does not run. */
  startingMs: number
  /** It stopped or was turned down, and its cluster has not brought it back. */
  stoppedMs: number
  /** Starts that may fail before an instance is left FAILED. */
  maxAttempts: number
  /** For a move that was asked for. */
  moveMs: number
  /** For an update to get through all instances, where the descriptor names no time. */
  rolloutMs: number
}

/** Milliseconds that an instance on a cluster may stay in a status; undefined for those that need no end. */
export function deadlineOf (status: Status, policy: Policy): number | undefined {
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

/** How an update goes through the instances of this job. */
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
    // One at a time, unless others stand in for it: with neither it could not begin.
    maxUnavailable: maxSurge > 0 ? maxUnavailable : Math.max(1, maxUnavailable),
    maxSurge,
    deadlineMs: deadlineS === undefined ? policy.rolloutMs : deadlineS * 1000,
    autoRollback
  }
}
