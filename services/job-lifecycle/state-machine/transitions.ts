import type { Instance } from '../../../schemas/job.js'
import { CLUSTER_REFUSALS, PLACEMENT_FAILURES, STOPS, WAY_UP, type Status } from '../../../schemas/status.js'

/**
 * The state machine of an instance (contract section 8) as one table: for each status, where each trigger may lead.
 * What is not listed changes nothing, so a late or repeated message is harmless.
 *
 * - `placed`, `unplaceable`: the scheduler's decision on an instance without a cluster.
 * - `reported`: a cluster's report in a heartbeat. An instance only climbs the way up, but may stop anywhere, and may
 *   come back after a stop: clusters restart services, and that must show.
 * - `started`: a cluster said where the instance runs (`result`).
 * - `refused`: a cluster refused the command.
 * - `recalled`: taken off its cluster, to be placed anew. `renewed`: its cluster got a command to start it again or to
 *   update it.
 * - `lost`: its cluster gives no sign of life. `recovered`: that cluster is back and has not reported yet.
 * - `gave_up`: it did not start anywhere.
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
  // CREATING and CREATED are one rung: one after the other is no progress.
  CREATING: climbing('CREATED'),
  CREATED: climbing('CREATED'),
  DEPLOYED: climbing('DEPLOYED'),
  RUNNING: climbing('RUNNING'),
  FAILED: stopped,
  DEAD: { ...stopped, recovered: ['NODE_SCHEDULED'] },
  // Its work is done: only a new descriptor or a move starts it again.
  COMPLETED: onCluster,
  // A refused instance either stays on its cluster, which may find room yet, or is placed anew.
  NO_WORKER_CAPACITY: { ...stopped, ...unplaced },
  NO_QUALIFIED_WORKER_FOUND: { ...stopped, ...unplaced },
  NO_NODE_FOUND: { ...stopped, ...unplaced },
  TargetClusterNotFound: unplaced,
  TargetClusterNotActive: unplaced,
  TargetClusterNoCapacity: unplaced,
  NoActiveClusterWithCapacity: unplaced,
  UNDEPLOYING: {},
  UNDEPLOYED: {}
}

/**
 * What was given up stays so, whatever progress its cluster reports: it would come and go for ever. If it runs after
 * all, that must show. Anything else is up to a user.
 */
const GIVEN_UP: Row = {
  reported: ['RUNNING', 'COMPLETED'],
  recalled: ['REQUESTED'],
  renewed: ['CLUSTER_SCHEDULED']
}

/** The same on an original cluster, where DEPLOYED is as much as is ever said (contract section 10). */
const GIVEN_UP_ORIGINAL: Row = { ...GIVEN_UP, reported: ['DEPLOYED', 'RUNNING', 'COMPLETED'], started: ['DEPLOYED'] }

/** True when this trigger may take an instance from its status to another one; never to the status it has. */
export function mayBecome (
  { status: from, given_up: givenUp, original }: Pick<Instance, 'status' | 'given_up' | 'original'>,
  trigger: Trigger,
  to: Status
): boolean {
  const row = givenUp ? original ? GIVEN_UP_ORIGINAL : GIVEN_UP : TRANSITIONS[from]
  return from !== to && (row[trigger]?.includes(to) ?? false)
}

/**
 * What a cluster's report means for an instance that should run. UNDEPLOYED without a command says that the instance is
 * gone. It shows as DEAD, since UNDEPLOYED is the end of a job that its user ended.
 */
export function reportedStatus (told: Status): Status {
  return told === 'UNDEPLOYED' ? 'DEAD' : told
}

/** From worst to best: the status of a job is that of its worst instance. */
const WORST_FIRST: readonly Status[] = [
  'FAILED',
  'DEAD',
  ...CLUSTER_REFUSALS,
  ...PLACEMENT_FAILURES,
  ...WAY_UP,
  'COMPLETED'
]

/** The instance that decides the status of its job: the worst one, among equals the first. */
export function worst<T extends { status: Status }> (instances: readonly T[]): T | undefined {
  return instances.reduce<T | undefined>(
    (found, instance) =>
      found && WORST_FIRST.indexOf(found.status) <= WORST_FIRST.indexOf(instance.status) ? found : instance,
    undefined
  )
}
