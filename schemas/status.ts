import { OneOf } from './primitives.js'

/**
 * The way up of an instance (contract section 8). An instance only climbs it. CREATING and CREATED are the same rung,
 * spelled differently by different clusters.
 */
export const WAY_UP = [
  'REQUESTED',
  'CLUSTER_SCHEDULED',
  'NODE_SCHEDULED',
  'CREATING',
  'CREATED',
  'DEPLOYED',
  'RUNNING'
] as const

/** Negative placements: the scheduler found no place (contract sections 4 and 8). */
export const PLACEMENT_FAILURES = [
  'TargetClusterNotFound',
  'TargetClusterNotActive',
  'TargetClusterNoCapacity',
  'NoActiveClusterWithCapacity'
] as const

/** A cluster has no worker for the instance (contract section 8). */
export const CLUSTER_REFUSALS = ['NO_WORKER_CAPACITY', 'NO_QUALIFIED_WORKER_FOUND', 'NO_NODE_FOUND'] as const

/** The instance ran, or tried to, and stopped (contract section 8). */
export const STOPS = ['FAILED', 'DEAD', 'COMPLETED'] as const

/** A job is being removed: from the delete until all clusters have confirmed (contract section 8). Then it is gone. */
const REMOVAL = ['UNDEPLOYING', 'UNDEPLOYED'] as const

export const STATUSES = [...WAY_UP, ...STOPS, ...REMOVAL, ...PLACEMENT_FAILURES, ...CLUSTER_REFUSALS] as const

/** Status of an instance or a job, in the contract's spelling. */
export type Status = typeof STATUSES[number]
export type PlacementFailure = typeof PLACEMENT_FAILURES[number]

export const Status = OneOf(STATUSES, { description: 'Status in the spelling of the EdgeIO contract' })
