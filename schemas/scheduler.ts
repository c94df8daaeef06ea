import { Type, type Static } from '@sinclair/typebox'
import { HexId, OneOf } from './primitives.js'
import { PLACEMENT_FAILURES, type PlacementFailure } from './status.js'

/** An id as the scheduler writes it: 24 hexadecimal digits, or MongoDB's Extended JSON. */
const Id = Type.Union([HexId, Type.Object({ $oid: HexId }, { additionalProperties: true })], {
  description: 'an id of 24 hexadecimal digits, or {"$oid": id}'
})

const ClusterRef = Type.Object({ _id: Id }, { additionalProperties: true, description: 'a cluster with its _id' })

/**
 * Body of POST /api/result/deploy and /api/result/replicate, in every shape of contract section 4: the cluster as a
 * document, as a list with the best first, or as an id; the job as an id, or as a document alone.
 */
export const SchedulerResult = Type.Object({
  job_id: Type.Optional(Id),
  job: Type.Optional(Type.Unknown({ description: 'The job as it was sent' })),
  replicas: Type.Optional(Type.Unknown()),
  cluster: Type.Optional(
    Type.Union([ClusterRef, Type.Array(ClusterRef, { minItems: 1 })], {
      description: 'a cluster document, or a list of them'
    })
  ),
  cluster_id: Type.Optional(Id),
  status: Type.Optional(OneOf(PLACEMENT_FAILURES, { description: 'Why there is no cluster' }))
}, {
  $id: 'SchedulerResult',
  additionalProperties: true,
  examples: [{ job_id: '65a1b2c3d4e5f60718293a4b', cluster_id: '65a1b2c3d4e5f60718293a00' }]
})
export type SchedulerResult = Static<typeof SchedulerResult>

/** A {@link SchedulerResult} as read: the job, and the cluster or the reason for none. */
export type SchedulerAnswer = {
  job_id: string
  /** From the job document, if the scheduler echoes it. */
  job_name?: string
  /** Generation of the descriptor in the request, if the scheduler echoes the job document. */
  generation?: number
} & ({ cluster_id: string } | { failure: PlacementFailure })
