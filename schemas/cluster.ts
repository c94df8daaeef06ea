import { Type, type Static } from '@sinclair/typebox'
import { FreeForm } from './json-text.js'
import { Count, HexId, Nullable, ONE_LINE, OneOf, Quantity, shapeOf, Timestamp, toName } from './primitives.js'
import { Status } from './status.js'

/** A cluster, as users name it on a path or in a query. */
export const ClusterPlace = Type.String({
  minLength: 1,
  maxLength: 255,
  description: 'Id or name of the cluster, or its location if no other cluster is there',
  examples: ['hpi']
})

/** The path of a message of a cluster. */
export const ClusterRef = Type.Object({
  id: Type.String({
    ...ClusterPlace,
    examples: ['65a1b2c3d4e5f60718293a4b']
  })
})

/** A worker node, as listed by a cluster on the raw WebSocket channel (contract section 6). */
export const Worker = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  cpu_cores: Quantity({ description: 'Free cores' }),
  memory_in_mb: Quantity({ description: 'Free memory, MB' }),
  technology: Type.Optional(Type.Array(Type.String({ maxLength: 63 }), { maxItems: 32 }))
}, { additionalProperties: true })
export type Worker = Static<typeof Worker>

const Port = Type.Union([
  Type.Integer({ minimum: 1, maximum: 65535 }),
  Type.String({ pattern: '^([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])$' })
], { description: 'Port: 1 to 65535, as a number or in digits' })

/** `cs1`: a cluster presents itself, in both shapes of contract section 5. */
export const ClusterRegistration = Type.Object({
  cluster_name: Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: ONE_LINE,
    description: 'Name of the cluster: 1 to 255 characters on one line, none of which changes its direction'
  }),
  port: Type.Optional(Nullable(Port)),
  manager_port: Type.Optional(Nullable(Port)),
  network_component_port: Type.Optional(Nullable(Port)),
  cluster_info: Type.Optional(FreeForm()),
  cluster_location: Type.Optional(
    Nullable(
      Type.String({
        maxLength: 255,
        pattern: `^$|${ONE_LINE}`,
        description: 'Where the cluster is: up to 255 characters on one line, none of which changes its direction'
      })
    )
  ),
  advertise_address: Type.Optional(
    Nullable(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'Address at which to reach the cluster manager, instead of the remote address'
      })
    )
  ),
  last_seq: Type.Optional(Count({ description: 'seq of the last command that the cluster has stored' }))
}, { additionalProperties: true })
export type ClusterRegistration = Static<typeof ClusterRegistration>

/** A registration whose name and location have the one form by which they are found. */
export function withNames (registration: object): object {
  const { cluster_name: name, cluster_location: location } = registration as Record<string, unknown>
  return {
    ...registration,
    ...(typeof name === 'string' && { cluster_name: toName(name) }),
    ...(typeof location === 'string' && { cluster_location: toName(location) })
  }
}

/** How large a heartbeat may be, in bytes: that of any cluster, what each instance placed there adds, the most. */
export const HEARTBEAT_BYTES = { least: 256 * 1024, perInstance: 16 * 1024, most: 8 * 1024 * 1024 } as const

/** What a cluster says of one instance, in a heartbeat and in `result`: a cluster that can tells them apart. */
export const InstanceReport = Type.Object({
  instance_number: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  status: Status,
  status_reason: Type.Optional(Type.Unknown())
}, { additionalProperties: true })
export type InstanceReport = Static<typeof InstanceReport>

/** One entry of a heartbeat's `jobs`. Entries are checked one by one, so that a bad one does not cost the heartbeat. */
export const JobReport = Type.Object({
  system_job_id: HexId,
  status: Status,
  instances: Type.Optional(
    Nullable(Type.Array(Type.Unknown(), { maxItems: 10_000, description: 'Entries {instance_number, status}' }))
  )
}, { additionalProperties: true })
export type JobReport = Static<typeof JobReport>

/**
 * Heartbeat: POST /api/information/:cluster_id and the event `information` (contract section 2). Any field may be
 * missing or null.
 */
export const Heartbeat = Type.Object({
  cpu_percent: Type.Optional(Nullable(Quantity())),
  memory_percent: Type.Optional(Nullable(Quantity())),
  cpu_cores: Type.Optional(Nullable(Quantity({ description: 'Free cores, summed over the workers' }))),
  cumulative_memory_in_mb: Type.Optional(
    Nullable(Quantity({ description: 'Free memory in MB, summed over the workers' }))
  ),
  number_of_nodes: Type.Optional(Nullable(Count({ description: 'Workers that are up' }))),
  jobs: Type.Optional(
    Nullable(
      Type.Array(Type.Unknown(), { maxItems: 100_000, description: 'Entries {system_job_id, status, instances?}' })
    )
  ),
  technology: Type.Optional(Nullable(Type.Array(Type.String({ maxLength: 63 }), { maxItems: 64 }))),
  workers: Type.Optional(Nullable(Type.Array(Worker, { maxItems: 10_000 }))),
  more: Type.Optional(Type.Unknown())
}, {
  $id: 'Heartbeat',
  additionalProperties: true,
  examples: [{
    cpu_percent: 12.5,
    memory_percent: 40,
    cpu_cores: 12,
    cumulative_memory_in_mb: 24000,
    number_of_nodes: 3,
    technology: ['docker'],
    jobs: [{ system_job_id: '65a1b2c3d4e5f60718293a4b', status: 'RUNNING' }],
    more: null
  }]
})
export type Heartbeat = Static<typeof Heartbeat>

const REGISTERED_OVER = ['channel', 'socket.io'] as const
const DELIVERY = ['channel', 'http'] as const
const SCHEDULING = ['active', 'cordoned', 'draining'] as const

const exampleCluster = {
  id: '65a1b2c3d4e5f60718293a00',
  cluster_name: 'hpi',
  ip: '192.168.178.40',
  port: 10100,
  network_component_port: 10110,
  registered_over: 'channel',
  delivery: 'channel',
  clusterinfo: null,
  cluster_location: 'hpi',
  nodes: 3,
  active_nodes: 3,
  aggregated_cpu_percent: 12.5,
  total_cpu_cores: 12,
  aggregated_memory_percent: 40,
  memory_in_mb: 24000,
  technology: ['docker'],
  more: null,
  workers: null,
  warnings: [],
  scheduling: 'active',
  lost_at: null,
  evicted_at: null,
  recovered_at: null,
  losses: 0,
  unknown_jobs: [],
  takeover: null,
  registered_at: '2026-01-31T12:00:00.000Z',
  last_heartbeat_at: '2026-01-31T12:00:15.000Z',
  last_modified_timestamp: 1769860815.2
}

/**
 * A registered cluster. The field names are those of the contract's clusters.clusters (section 7). Figures are null
 * until the first heartbeat.
 */
export const Cluster = Type.Object({
  id: HexId,
  cluster_name: Type.String(),
  ip: Type.String({ description: 'Address of the cluster manager: the advertised one, else the remote one' }),
  port: Nullable(Type.Integer({ description: 'Port of the cluster manager' })),
  network_component_port: Nullable(Type.Integer()),
  registered_over: OneOf(REGISTERED_OVER, {
    description:
      'How it registered last. A cluster of socket.io is an original one: it never says RUNNING, so that DEPLOYED is ' +
        'up there, and takes one instance of a job'
  }),
  delivery: OneOf(DELIVERY, {
    description:
      'How commands are delivered while the cluster has no open channel: channel keeps them until it is open again, ' +
        'http pushes them to ip and port'
  }),
  clusterinfo: Type.Unknown(),
  cluster_location: Nullable(Type.String()),
  nodes: Type.Integer({ description: 'Workers counted by incr_node, decr_node and nodes' }),
  active_nodes: Nullable(Type.Integer({ description: 'Workers that are up, as of the last heartbeat' })),
  aggregated_cpu_percent: Nullable(Type.Number()),
  total_cpu_cores: Nullable(Type.Number({ description: 'Free cores' })),
  aggregated_memory_percent: Nullable(Type.Number()),
  memory_in_mb: Nullable(Type.Number({ description: 'Free memory, MB' })),
  technology: Nullable(Type.Array(Type.String())),
  more: Type.Unknown(),
  workers: Nullable(Type.Array(Worker)),
  warnings: Type.Array(Type.String(), { description: 'Problems with the last heartbeat, one sentence each' }),
  scheduling: OneOf(SCHEDULING, {
    description: 'active takes new instances; cordoned takes none; draining takes none, and its instances move away'
  }),
  lost_at: Nullable(
    Type.String({
      description: 'When the cluster was lost, ISO 8601, UTC; null while it gives signs of life'
    })
  ),
  evicted_at: Nullable(
    Type.String({
      description:
        'When what ran there was started elsewhere, ISO 8601, UTC; null for a lost cluster while that is held'
    })
  ),
  recovered_at: Nullable(Type.String({ description: 'When it last came back after a loss, ISO 8601, UTC' })),
  losses: Type.Integer({
    description:
      'Number of losses that each followed a recovery within an hour: a flapping cluster gets no new instances for a ' +
        'while after its return'
  }),
  unknown_jobs: Type.Array(Type.Object({ job_id: Type.String(), status: Status }), {
    description: 'Jobs that its heartbeats report and that it should not run'
  }),
  takeover: Nullable(
    Type.Object({
      at: Timestamp,
      from: Type.String({ description: 'Address before' }),
      to: Type.String({ description: 'Address since; the same where another session took over' })
    }, { description: 'The last time that another machine, perhaps, took over the name while it was in use' })
  ),
  registered_at: Timestamp,
  last_heartbeat_at: Nullable(Timestamp),
  last_modified_timestamp: Type.Number({ description: 'Last sign of life, Unix seconds' })
}, { $id: 'Cluster', examples: [exampleCluster] })
export type Cluster = Static<typeof Cluster>
export type ClusterId = Cluster['id']
/** Checks a cluster read from a database. Throws an Error that says where it differs. */
export const asCluster = shapeOf(Cluster, 'a cluster')

/**
 * What placement needs of a cluster: no field of a content that is not ours, which may be large. `workers` is null
 * besides for one that takes nothing new.
 */
export const PlacementView = Type.Pick(Cluster, [
  'id',
  'cluster_name',
  'cluster_location',
  'registered_over',
  'active_nodes',
  'total_cpu_cores',
  'memory_in_mb',
  'technology',
  'workers',
  'scheduling',
  'losses',
  'recovered_at',
  'last_heartbeat_at',
  'last_modified_timestamp'
])
export type PlacementView = Static<typeof PlacementView>
/** Checks what was read from a database. Throws an Error that says where it differs. */
export const asPlacementView = shapeOf(PlacementView, 'a cluster')

/** A cluster as /api/v1 shows it, with its liveness. */
export const ClusterView = Type.Composite([
  Cluster,
  Type.Object({
    active: Type.Boolean({ description: 'Whether it gave a sign of life within the grace time' }),
    connected: Type.Boolean({
      description: 'Whether it has an open channel, to this System Manager or another one on the same database'
    })
  })
], { $id: 'ClusterView', examples: [{ ...exampleCluster, active: true, connected: true }] })
export type ClusterView = Static<typeof ClusterView>
