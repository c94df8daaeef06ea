import { Type, type Static } from '@sinclair/typebox'
import { Warnings } from './errors.js'
import { Explanation } from './job.js'
import { HexId, Nullable, OneOf } from './primitives.js'

/** A cluster by id and name. */
const ClusterRef = Type.Object({ cluster_id: HexId, cluster_name: Type.String() })

/** An instance and the cluster that it is on, or would be on. */
const InstanceOn = Type.Object({ instance_number: Type.Integer(), cluster_id: HexId, cluster_name: Type.String() })

/** A field of the descriptor that would change. */
export const FieldChange = Type.Object({
  path: Type.String({ description: 'Path of the field', examples: ['requirements.cpu'] }),
  from: Type.Optional(Type.Unknown({ description: 'Value before; absent if the field is new' })),
  to: Type.Optional(Type.Unknown({ description: 'Value after; absent if the field is removed' }))
})
export type FieldChange = Static<typeof FieldChange>

/** What the deploy would do to the instances of a service. */
export const Movements = Type.Object({
  placed: Type.Array(InstanceOn, {
    description: 'Unplaced instances that would get this cluster; an update may start more than `replicas` for a while'
  }),
  moved: Type.Array(Type.Object({ instance_number: Type.Integer(), from: ClusterRef, to: Nullable(ClusterRef) }), {
    description: 'Instances that would go to another cluster; `to` is null while none has room'
  }),
  renewed: Type.Array(InstanceOn, { description: 'Instances that would be updated in place' }),
  removed: Type.Array(InstanceOn, { description: 'Instances that would be removed from this cluster' }),
  waiting: Type.Array(Type.Integer(), { description: 'Numbers of the instances that would have no cluster' })
})
export type Movements = Static<typeof Movements>

/** What the deploy would do to one service. */
export const ServicePlan = Type.Object({
  job_name: Type.String(),
  job_id: Nullable(Type.String({ description: 'Id of the existing job; null for a new one' })),
  outcome: OneOf(['create', 'update', 'unchanged']),
  summary: Type.String({ description: 'One sentence for a human' }),
  changes: Type.Array(FieldChange, { description: 'Fields that would change; none for a new job' }),
  instances: Movements,
  explanation: Nullable(Explanation)
})
export type ServicePlan = Static<typeof ServicePlan>

const example = { cluster_id: '65a1b2c3d4e5f60718293a00', cluster_name: 'hpi' }

/** Preview of a deploy. */
export const Plan = Type.Object({
  summary: Type.String({ description: 'One sentence for a human' }),
  scheduler: OneOf(['embedded', 'cloud'], {
    description:
      'Which scheduler places the services when they are deployed. The plan is always that of the embedded one; the ' +
        'Cloud Scheduler may decide otherwise'
  }),
  services: Type.Array(ServicePlan, { description: 'In the order of the file' }),
  warnings: Warnings
}, {
  $id: 'Plan',
  examples: [{
    summary: '1 service: 1 to update; 1 instance to place, 1 to renew in place',
    scheduler: 'embedded',
    services: [{
      job_name: 'demo.default.service1.test',
      job_id: '65a1b2c3d4e5f60718293a4b',
      outcome: 'update',
      summary: 'demo.default.service1.test would be updated (image, replicas): 1 instance to place, ' +
        '1 to renew in place',
      changes: [{ path: 'image', from: 'nginx:1', to: 'nginx:2' }, { path: 'replicas', from: 1, to: 2 }],
      instances: {
        placed: [{ instance_number: 1, ...example }],
        moved: [],
        renewed: [{ instance_number: 0, ...example }],
        removed: [],
        waiting: []
      },
      explanation: {
        decided_at: '2026-01-31T12:00:00.012Z',
        outcome: 'placed',
        summary: 'placed on hpi',
        clusters: [{ ...example, fits: true, score: 1, reason: 'hpi: chosen, 12 cores and 24000 MB free' }],
        omitted: 0
      }
    }],
    warnings: [{
      field: 'replica',
      message: 'there is no such field, and it is passed on as it is: did you mean replicas?',
      line: 9,
      column: 10
    }]
  }]
})
export type Plan = Static<typeof Plan>
