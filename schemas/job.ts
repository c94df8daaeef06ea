import { Type, type Static } from '@sinclair/typebox'
import { Descriptor } from './descriptor.js'
import { Warnings } from './errors.js'
import { HexId, Nullable, OneOf, Timestamp } from './primitives.js'
import { Status, STATUSES } from './status.js'

/** What a cluster had free when it was chosen: a refusal stands until it has more. */
export const Offer = Type.Object({
  cpu: Nullable(Type.Number({ description: 'Free cores' })),
  memory: Nullable(Type.Number({ description: 'Free memory, MB' })),
  nodes: Nullable(Type.Integer({ description: 'Workers that are up' }))
})
export type Offer = Static<typeof Offer>

/** One instance of a service. The first six fields are those of the contract's instance_list (section 7). */
export const Instance = Type.Object({
  instance_number: Type.Integer({ minimum: 0 }),
  instance_ip: Type.String({ description: 'Leased from 172.30.0.0/16; "" only in a change that is not stored yet' }),
  cluster_id: Type.String({ description: 'The cluster that it is placed on; "" while it has none' }),
  namespace_ip: Type.String(),
  host_ip: Type.String(),
  host_port: Nullable(Type.Integer({ description: 'null while it is not known' })),
  status: Status,
  status_reason: Nullable(Type.String({ description: 'Reason for the status, one sentence' })),
  status_since: Timestamp,
  /** Its deadline counts from then on, since its cluster could not know of its command any earlier. */
  deadline_from: Type.Optional(Timestamp),
  generation: Type.Integer({ description: 'Generation of the descriptor that it should run' }),
  move: Nullable(Type.Object({
    from: HexId,
    why: OneOf(['asked', 'update', 'drain', 'failover']),
    since: Timestamp
  }, {
    description:
      'The instance moves: the entry of the same number on the cluster `from` is removed once this one runs'
  })),
  original: Type.Boolean({
    description: 'On an original cluster, which never says RUNNING: DEPLOYED is up there'
  }),
  told: Nullable(
    OneOf(STATUSES, {
      description:
        'What its cluster last said that it is, in a heartbeat or by `result`; null while it has said nothing of ' +
          'what runs there now'
    })
  ),
  location: Nullable(
    Type.String({
      description:
        'Location or name of the cluster that a move requested, "" for any; takes precedence over cluster_location ' +
          'and node of the descriptor until the instance has started there and leaves again'
    })
  ),
  attempts: Type.Integer({ description: 'Failed starts since it last ran' }),
  given_up: Type.Boolean({
    description: 'Given up after too many failed starts: only a report of RUNNING or COMPLETED, or a user, changes it'
  }),
  told_apart: Type.Boolean({
    description: 'Its cluster speaks of it by its number; else what it says is about all instances of the job there'
  }),
  silent: Type.Boolean({ description: 'Its cluster gives no sign of life: its real status is unknown' }),
  awaits: Nullable(
    Type.String({
      description:
        'Id of a command that its cluster has not acknowledged yet. Until then, reports are about the earlier state, ' +
          'and an instance without a cluster is not placed'
    })
  ),
  offered: Nullable(Offer),
  refusals: Type.Array(Type.Object({
    cluster_id: HexId,
    at: Timestamp,
    error: Type.String(),
    offered: Type.Optional(Nullable(Offer))
  }), {
    description: 'Clusters that refused it, newest last; the scheduler passes over them for a while'
  })
})
export type Instance = Static<typeof Instance>

/** Instances that a cluster has to remove. Their addresses stay leased until it acknowledges the removal. */
const Retiring = Type.Object({
  command_id: Type.String(),
  cluster_id: HexId,
  instances: Type.Array(Type.Object({ instance_number: Type.Integer(), instance_ip: Type.String() })),
  error: Nullable(Type.String({ description: 'Why the cluster refused; null if it did not' })),
  refused_at: Type.Optional(Timestamp),
  since: Timestamp,
  released: Type.Boolean({
    description: 'Its addresses are free, though the cluster has not confirmed: it was waited for long enough'
  }),
  original: Type.Boolean({ description: 'The cluster is an original one' }),
  told: Nullable(
    OneOf(STATUSES, { description: 'What the cluster last said of what it has to remove; null: nothing' })
  )
})

/** An original cluster that has removed the job, and reports it nevertheless, for ever (contract section 10). */
const Removal = Type.Object({
  cluster_id: HexId,
  at: Timestamp,
  told: Nullable(
    OneOf(STATUSES, {
      description: 'What it last said of the job: while it says the same, that is about what it has removed'
    })
  )
})

/** Most removals kept per job, the newest. */
export const MAX_REMOVALS = 100

/** An earlier descriptor of a job, for a rollback. */
export const Revision = Type.Object({
  generation: Type.Integer(),
  descriptor: Nullable(Type.Unsafe<Static<typeof Descriptor>>({
    ...Descriptor,
    description: 'null in lists once no instance and no update has it: GET /api/v1/jobs/:job shows it'
  })),
  replaced_at: Timestamp,
  cause: Type.String({ description: 'Who or what replaced it' })
})

/** Most kinds of events whose repetitions are counted per job, the newest. */
export const MAX_REPEATS = 32

/** Most revisions kept per job, the newest first. */
export const MAX_REVISIONS = 10

/** An update in progress. */
const Rollout = Type.Object({
  from_generation: Type.Integer({ description: 'Generation that a failed update is rolled back to' }),
  started_at: Timestamp,
  deadline_at: Timestamp,
  max_unavailable: Type.Integer({ description: 'Instances that it may take down at a time' }),
  max_surge: Type.Integer({ description: 'Instances in addition to replicas while it lasts' }),
  auto_rollback: Type.Boolean({ description: 'Whether it is rolled back if it fails' }),
  rollback: Type.Boolean({ description: 'Whether it is a rollback itself' })
})

/** The scheduler's verdict on one cluster. */
export const ClusterVerdict = Type.Object({
  cluster_id: HexId,
  cluster_name: Type.String(),
  fits: Type.Boolean(),
  score: Nullable(Type.Number({ description: 'Higher is better; null where it does not fit' })),
  reason: Type.String({ description: 'A sentence: "hpi: 0.2 cores free of 1 asked"' })
})
export type ClusterVerdict = Static<typeof ClusterVerdict>

/** Most verdicts kept per job; with ten thousand clusters the rest is counted per reason. */
export const MAX_VERDICTS = 100

/** Why a job is placed where it is, or is not placed. */
export const Explanation = Type.Object({
  decided_at: Timestamp,
  outcome: OneOf(['placed', 'waiting', 'unplaceable']),
  summary: Type.String({ description: 'One sentence for a human' }),
  clusters: Type.Array(ClusterVerdict, { description: `At most ${MAX_VERDICTS}, the nearest to fitting first` }),
  omitted: Type.Integer({ description: 'Clusters judged but not listed' })
})
export type Explanation = Static<typeof Explanation>

/** A deployed service: desired state (descriptor, replicas, desired_state) and actual state (status, instance_list). */
export const Job = Type.Object({
  id: HexId,
  job_name: Type.String({ description: 'app_name.app_ns.service_name.service_ns' }),
  descriptor: Descriptor,
  desired_state: OneOf(['running', 'undeployed']),
  replicas: Type.Integer(),
  status: Status,
  status_reason: Nullable(Type.String()),
  service_ip_list: Type.Array(Type.Object({ IpType: OneOf(['RR']), Address: Type.String() })),
  instance_list: Type.Array(Instance),
  retiring: Type.Array(Retiring),
  repeats: Type.Array(Type.Object({ key: Type.String(), count: Type.Integer(), since: Timestamp }), {
    description: 'How often events came again, so that not each time is told: its 1st, 2nd, 4th, 8th … time is'
  }),
  removals: Type.Array(Removal, {
    description: `Original clusters that have removed it, at most ${MAX_REMOVALS}, the newest last`
  }),
  explanation: Nullable(Explanation),
  rollout: Nullable(Rollout),
  revisions: Type.Array(Revision, {
    description: `Earlier descriptors, at most ${MAX_REVISIONS}, the newest first`
  }),
  due_at: Nullable(
    Type.String({
      description:
        'Its next deadline, ISO 8601, UTC; null for none'
    })
  ),
  fence: Type.Integer({
    description: 'Highest fencing token of a leader that changed it: a leader with a lower token has lost its lease'
  }),
  generation: Type.Integer({ description: 'Rises with each change of the descriptor' }),
  revision: Type.Integer({ description: 'Rises with each change of the document' }),
  created_at: Timestamp,
  updated_at: Timestamp
}, {
  $id: 'Job',
  examples: [{
    id: '65a1b2c3d4e5f60718293a4b',
    job_name: 'demo.default.service1.test',
    descriptor: Descriptor.examples[0],
    desired_state: 'running',
    replicas: 1,
    status: 'RUNNING',
    status_reason: null,
    service_ip_list: [{ IpType: 'RR', Address: '172.30.0.1' }],
    instance_list: [{
      instance_number: 0,
      instance_ip: '172.30.0.2',
      cluster_id: '65a1b2c3d4e5f60718293a00',
      namespace_ip: '10.18.0.2',
      host_ip: '192.168.178.40',
      host_port: 50103,
      status: 'RUNNING',
      status_reason: null,
      status_since: '2026-01-31T12:00:09.000Z',
      generation: 1,
      move: null,
      original: false,
      told: 'RUNNING',
      location: null,
      attempts: 0,
      given_up: false,
      told_apart: false,
      silent: false,
      awaits: null,
      offered: null,
      refusals: []
    }],
    retiring: [],
    repeats: [],
    removals: [],
    explanation: {
      decided_at: '2026-01-31T12:00:00.012Z',
      outcome: 'placed',
      summary: 'placed on hpi',
      clusters: [{
        cluster_id: '65a1b2c3d4e5f60718293a00',
        cluster_name: 'hpi',
        fits: true,
        score: 1,
        reason: 'hpi: chosen, 12 cores and 24000 MB free'
      }],
      omitted: 0
    },
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    generation: 1,
    revision: 5,
    created_at: '2026-01-31T12:00:00.000Z',
    updated_at: '2026-01-31T12:00:09.000Z'
  }]
})
/** The answer to a deploy. */
export const DeployedJob = Type.Object({ ...Job.properties, warnings: Warnings }, {
  $id: 'DeployedJob',
  examples: [{ ...Job.examples[0], warnings: [] }]
})

export type Revision = Omit<Static<typeof Revision>, 'descriptor'> & { descriptor: Descriptor | null }
export type Job = Omit<Static<typeof Job>, 'descriptor' | 'revisions'> & {
  descriptor: Descriptor
  revisions: Revision[]
}
export type JobId = Job['id']
