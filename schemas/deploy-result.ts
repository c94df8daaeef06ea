import { Type, type Static } from '@sinclair/typebox'
import { HexId, Nullable } from './primitives.js'

/** POST /api/result/cluster_deploy and the event `result` (contract section 2). */
export const DeployResult = Type.Object({
  job_id: HexId,
  instances: Type.Array(
    Type.Object({
      instance_number: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
      namespace_ip: Type.Optional(Nullable(Type.String({ maxLength: 255 }))),
      host_ip: Type.Optional(Nullable(Type.String({ maxLength: 255 }))),
      host_port: Type.Optional(
        Nullable(Type.Union([Type.String({ maxLength: 63 }), Type.Integer({ minimum: 0, maximum: 65535 })]))
      ),
      // Where it runs counts, whatever else a cluster says of it.
      status: Type.Optional(Type.Unknown()),
      status_reason: Type.Optional(Type.Unknown())
    }, { additionalProperties: true }),
    { maxItems: 10_000 }
  )
}, {
  $id: 'DeployResult',
  additionalProperties: true,
  examples: [{
    job_id: '65a1b2c3d4e5f60718293a4b',
    instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.178.40', host_port: 50103 }]
  }]
})
export type DeployResult = Static<typeof DeployResult>
