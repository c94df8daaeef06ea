import { Type, type Static } from '@sinclair/typebox'
import { OneOf, shapeOf, Timestamp } from './primitives.js'
import { Status } from './status.js'

const EVENT_TYPES = [
  // Requests of users.
  'deployed',
  'updated',
  'scaled',
  'moving',
  'undeploying',
  // Placement and changes of instances.
  'placed',
  'unplaceable',
  'waiting',
  'status',
  'details',
  'moved',
  'move_ended',
  'move_failed',
  'retiring',
  'retired',
  'undeployed',
  'released',
  // Command replies, delivery, drift and silence of clusters.
  'acknowledged',
  'refused',
  'delivery',
  'resent',
  'lost',
  'recovered',
  'taken_over',
  // Deadlines and updates.
  'retried',
  'gave_up',
  'rolled_out',
  'rolled_back',
  'rollout_late',
  // A job taken over from another program's document.
  'adopted'
] as const

/** One event of a job: what happened, when, and who or what caused it. */
export const JobEvent = Type.Object({
  id: Type.Integer({ description: 'Rises with time within a job' }),
  time: Timestamp,
  type: OneOf(EVENT_TYPES, { description: 'What happened' }),
  cause: Type.String({ description: 'Who or what caused it: user, scheduler, cluster <name or id>, system' }),
  message: Type.String(),
  instance_number: Type.Optional(Type.Integer()),
  cluster_id: Type.Optional(Type.String()),
  from: Type.Optional(Status),
  to: Type.Optional(Status),
  count: Type.Optional(
    Type.Integer({ description: 'Times that this has happened since `since`; events in between are left out' })
  ),
  since: Type.Optional(Timestamp)
}, {
  $id: 'JobEvent',
  examples: [{
    id: 4,
    time: '2026-01-31T12:00:09.000Z',
    type: 'status',
    cause: 'cluster 65a1b2c3d4e5f60718293a00',
    message: 'instance 0 is RUNNING',
    instance_number: 0,
    from: 'DEPLOYED',
    to: 'RUNNING'
  }]
})
export type JobEvent = Static<typeof JobEvent>

/** What every event has. An earlier version may have had other types of events. */
const told = shapeOf(Type.Pick(JobEvent, ['id', 'time', 'cause', 'message']), 'an event')

/** Checks an event read from a database. Throws an Error that says where it differs. */
export const asJobEvent = (value: unknown): JobEvent => told(value) as JobEvent
