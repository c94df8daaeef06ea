import { Type, type Static } from '@sinclair/typebox'
import { ClusterRegistration, Heartbeat } from './cluster.js'
import { DeployResult } from './deploy-result.js'
import { Count, HexId, MAX_QUANTITY, OneOf, shapeOf } from './primitives.js'

/** Version of the raw WebSocket protocol, announced in `sc1` (contract section 5). */
export const PROTOCOL_VERSION = 1

const COMMAND_KINDS = ['deploy', 'delete', 'replicate', 'move'] as const

/** A command for a cluster, as the outbox keeps it and the event `command` carries it (contract section 5). */
export const Command = Type.Object({
  seq: Count({ description: 'Rises by one per cluster' }),
  command_id: Type.String({ description: 'Carry out each id once: delivery is at least once' }),
  kind: OneOf(COMMAND_KINDS),
  job_id: HexId,
  job: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'The complete job document of the contract, with _id as a plain string'
    })
  ),
  replicas: Type.Optional(Type.Integer({ description: 'Number of instances that this cluster should run' })),
  node_from: Type.Optional(Type.String()),
  node_to: Type.Optional(Type.String()),
  removed_at: Type.Optional(
    Type.String({ description: 'When the cluster removed the job before; not part of what it is sent' })
  )
})
export type Command = Static<typeof Command>
/** Checks a command read from a database. Throws an Error that says where it differs. */
export const asCommand = shapeOf(Command, 'a command')

/** A command that a change of a job causes. The store adds `seq` and the job document. */
export type CommandDraft = Omit<Command, 'seq' | 'job'> & { cluster_id: string }

const NodesFrame = Type.Union([
  Type.Object({ count: Count() }),
  Type.Object({ delta: Type.Integer({ minimum: -MAX_QUANTITY, maximum: MAX_QUANTITY }) })
])

const AckFrame = Type.Object({ seq: Count() }, { additionalProperties: true })
const NackFrame = Type.Object({ seq: Count(), error: Type.String({ maxLength: 4096 }) }, { additionalProperties: true })

/** Data of each event that a cluster may send, by name. */
export const clusterEvents = {
  cs1: ClusterRegistration,
  information: Heartbeat,
  nodes: NodesFrame,
  ack: AckFrame,
  nack: NackFrame,
  result: DeployResult
} as const

/** The envelope of every text frame, in both directions. */
export const Frame = Type.Object({ event: Type.String({ maxLength: 63 }), data: Type.Optional(Type.Unknown()) }, {
  additionalProperties: true
})
