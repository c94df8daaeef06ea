import type { Instance } from '../../../schemas/job.js'
import { CLUSTER_REFUSALS, PLACEMENT_FAILURES, STOPS, WAY_UP, type Status } from '../../../schemas/status.js'

/**
 * The state machine of an instance (contract section 8), as one table: from each status, the statuses that each
 * kind of news may lead to. What is not listed changes nothing, so a late or repeated message is harmless.
 *
 * - `placed`, `unplaceable`: the scheduler's word on an instance without a cluster.
 * - `reported`: a cluster's word in a heartbeat. It only climbs the way up, but may stop anywhere, and a stopped
 *   instance may come back by itself: clusters restart services, and that must show.
 * - `started`: a cluster told where the instance runs (`result`).
 * - `refused`: a cluster refused the command.
 * - `recalled`: taken off its cluster to be placed anew. `renewed`: its cluster was told to bring it to a new
 *   descriptor.
 * - `lost`: its cluster gives no sign of life. `recovered`: that cluster is back, and has not told yet how far it is.
 * - `gave_up`: it would not start anywhere.
 */
export type Trigger =
  | 'placed'
  | 'unplaceable'
  | 'reported'
  | 'started'
  | 'refused'
  | 'recalled'
  | 'renewed'
  | 'lost'
  | 'recovered'
  | 'gave_up'

type Row = Partial<Record<Trigger, readonly Status[]>>

const above = (rung: typeof WAY_UP[number]): Status[] => WAY_UP.slice(WAY_UP.indexOf(rung) + 1)
const onCluster: Row = {
  refused: [...CLUSTER_REFUSALS, 'FAILED'],
  recalled: ['REQUESTED'],
  renewed: ['CLUSTER_SCHEDULED'],
  lost: ['DEAD'],
  gave_up: ['FAILED']
}
const climbing = (rung: typeof WAY_UP[number], next = above(rung)): Row => ({
  ...onCluster,
  reported: [...next, ...STOPS, ...CLUSTER_REFUSALS],
  started: next.includes('DEPLOYED') ? ['DEPLOYED'] : []
})
const stopped: Row = {
  ...onCluster,
  reported: [...above('CLUSTER_SCHEDULED'), ...STOPS, ...CLUSTER_REFUSALS],
  started: ['DEPLOYED']
}
const unplaced: Row = { placed: ['CLUSTER_SCHEDULED'], unplaceable: [...PLACEMENT_FAILURES], recalled: ['REQUESTED'] }

export const TRANSITIONS: Readonly<Record<Status, Row>> = {
  REQUESTED: unplaced,
  CLUSTER_SCHEDULED: climbing('CLUSTER_SCHEDULED'),
  NODE_SCHEDULED: climbing('NODE_SCHEDULED'),
  // CREATING and CREATED are one rung: a cluster that says one after the other has not moved.
  CREATING: climbing('CREATED'),
  CREATED: climbing('CREATED'),
  DEPLOYED: climbing('DEPLOYED'),
  RUNNING: climbing('RUNNING'),
  FAILED: stopped,
  DEAD: { ...stopped, recovered: ['NODE_SCHEDULED'] },
  // Its work is done: only a new descriptor starts it again.
  COMPLETED: onCluster,
  // A refused instance has either kept its cluster, which may find room yet, or lost it and is placed anew.
  NO_WORKER_CAPACITY: { ...stopped, ...unplaced },
  NO_QUALIFIED_WORKER_FOUND: { ...stopped, ...unplaced },
  NO_NODE_FOUND: { ...stopped, ...unplaced },
  TargetClusterNotFound: unplaced,
  TargetClusterNotActive: unplaced,
  TargetClusterNoCapacity: unplaced,
  NoActiveClusterWithCapacity: unplaced,
  UNDEPLOYED: {}
}

/**
 * What was given up stays so, whatever its cluster says it is about to do: it would come and go for ever. That it runs
 * after all is true and must show; else a user decides.
 */
const GIVEN_UP: Row = {
  reported: ['RUNNING', 'COMPLETED'],
  recalled: ['REQUESTED'],
  renewed: ['CLUSTER_SCHEDULED']
}

/** True when this trigger may take an instance from its status to another one; never to the status it has. */
export function mayBecome (
  { status: from, given_up: givenUp }: Pick<Instance, 'status' | 'given_up'>,
  trigger: Trigger,
  to: Status
): boolean {
  const row = givenUp ? GIVEN_UP : TRANSITIONS[from]
  return from !== to && (row[trigger]?.includes(to) ?? false)
}

/**
 * What a cluster's word means for an instance that we want to run. UNDEPLOYED without our asking is an instance that
 * is gone: the user is told DEAD, since UNDEPLOYED is the end of a job that the user ended.
 */
export function reportedStatus (told: Status): Status {
  return told === 'UNDEPLOYED' ? 'DEAD' : told
}

/** From the one to worry about most to the best: a job is as well as its worst instance. */
const WORST_FIRST: readonly Status[] = [
  'FAILED',
  'DEAD',
  ...CLUSTER_REFUSALS,
  ...PLACEMENT_FAILURES,
  ...WAY_UP,
  'COMPLETED'
]

/** The instance that decides the status of its job: the worst one, the lowest number among equals. */
export function worst<T extends { status: Status }> (instances: readonly T[]): T | undefined {
  return instances.reduce<T | undefined>(
    (found, instance) =>
      found && WORST_FIRST.indexOf(found.status) <= WORST_FIRST.indexOf(instance.status) ? found : instance,
    undefined
  )
}
