import type { Collection, CreateIndexesOptions, Document, IndexSpecification, MongoClient, ObjectId } from 'mongodb'
import type { CommandDraft } from '../../schemas/channel.js'
import type { Cluster, ClusterId } from '../../schemas/cluster.js'
import type { Job } from '../../schemas/job.js'
import type { JobEvent } from '../../schemas/job-event.js'
import { ApiError } from '../../schemas/errors.js'
import type { ClusterFigures, MaintenanceFields } from '../store.js'
import { boundCollection, type BoundedCollection, type RunStatement } from './bounded-collection.js'
import { isOutage } from './failures.js'

/**
 * clusters.clusters (contract section 7). All but `_id` and `cluster_name` may be missing, or of the type that the
 * original gave it.
 */
export interface ClusterDocument extends Document {
  _id: ObjectId
  cluster_name?: string
  /** What is ours. Missing in a document of the original. */
  system_manager?: Partial<ClusterRecord>
}

/** What is ours in a document of clusters.clusters. */
export interface ClusterRecord extends
  Required<MaintenanceFields>,
  Pick<
    Cluster,
    | 'network_component_port'
    | 'registered_over'
    | 'delivery' | 'workers' | 'warnings' | 'registered_at' | 'last_heartbeat_at'
  > {
  /** Last sign of life of any kind, Unix seconds; `last_modified_timestamp` is that of the last heartbeat. */
  seen_at: number
  /** The figures that it has told: one that it has not is 0 in the document. */
  told: Partial<Record<keyof ClusterFigures, true>>
  /** The cluster took all commands up to this `seq`. */
  acked: number
  /** Highest `seq` of the commands that the outbox has forgotten. */
  last: number
  /** By this a writer recognises that the last change of the count of nodes is its own. */
  nodes_change: string
  /** Who holds its channel; `holder` is null once the session has ended. */
  channel: { holder: string | null, claim: number }
}

/** jobs.jobs (contract section 7): every field of the descriptor, then the contract's own, then what is ours. */
export interface JobDocument extends Document {
  _id: ObjectId
  status?: unknown
  /** Missing in a document of the original. */
  system_manager?: JobRecord
}

/** What is ours in a document of jobs.jobs. Fields that may be missing have a sparse index. */
export interface JobRecord
  extends
  Pick<Job, 'revision' | 'status' | 'status_reason' | 'desired_state' | 'generation' | 'created_at' | 'updated_at'> {
  /** The whole job as JSON: BSON cannot hold every name of a field that a descriptor may have. */
  job: string
  /** By this a writer recognises that the revision is its own. */
  change: string
  /** Names of the fields at top level, to take those away that a later descriptor does not have. */
  fields: string[]
  /** The name while the job is to run. */
  live_name?: string
  underscored_name: string
  /** Its leased addresses: the unique index on them is what makes a lease. */
  addresses?: string[]
  /** Addresses that it has too and that another job holds: the original gave them out twice. */
  shared?: string[]
  /** True while an instance has no cluster and awaits nothing. */
  unplaced?: true
  due_at?: string
  undeployed_at?: string
  /** Clusters that have yet to remove something. */
  retiring?: ClusterId[]
  /** Clusters that have removed it and never forget it. */
  removals?: ClusterId[]
  /** Per cluster, what is placed there and does not run yet. */
  on_the_way?: Array<{ cluster_id: ClusterId, cpu: number, memory: number }>
  last_event: number
  /** Earlier descriptors that the job does not carry, as JSON: see `withoutOldDescriptors`. */
  old?: Array<{ generation: number, descriptor: string }>
  /** The newest ones. */
  events: JobEvent[]
  /** Commands that this or an earlier revision causes, until they are in the outbox. */
  drafts?: Draft[]
}

/** A command on its way into the outbox; `job` is the contract's document as JSON. */
export type Draft = CommandDraft & { job?: string }

/** system_manager.outbox: a command with its number in the sequence of its cluster. */
export interface OutboxDocument extends Omit<Draft, 'command_id'> {
  /** The command_id. */
  _id: string
  seq: number
  /** True until it is settled, then missing. */
  open?: true
  settled_at?: Date
}

/** system_manager.leases */
export interface LeaseDocument {
  /** Name of the lease. */
  _id: string
  holder: string | null
  token: number
  expires_at: Date
}

/** system_manager.notifications: what one process tells the others, kept for a minute. */
export interface NotificationDocument {
  _id?: ObjectId
  at: Date
  from: string
  commands: ClusterId[]
  claims: ClusterId[]
  unplaced: boolean
}

/** netcache.net (contract section 7). */
export interface NetDocument {
  _id?: ObjectId | string
  type: 'next_service_ip' | 'free_service_ip' | 'next_subnet_ip' | 'free_subnet_ip'
  ipv4: number[]
}

/** system_manager.subnets: to whom a subnet was given. */
export interface SubnetDocument {
  /** Its number: that of 172.18.0.64 is 1. */
  _id: number
  address: string
  given_at: string
}

export interface Collections {
  clusters: Collection<ClusterDocument>
  jobs: Collection<JobDocument>
  net: Collection<NetDocument>
  outbox: Collection<OutboxDocument>
  leases: Collection<LeaseDocument>
  notifications: Collection<NotificationDocument>
  subnets: Collection<SubnetDocument>
}

/** Those of the contract in the databases that it names, ours in one of our own. */
export function collectionsOf (client: MongoClient): Collections {
  const ours = client.db('system_manager')
  return {
    clusters: client.db('clusters').collection('clusters'),
    jobs: client.db('jobs').collection('jobs'),
    net: client.db('netcache').collection('net'),
    outbox: ours.collection('outbox'),
    leases: ours.collection('leases'),
    notifications: ours.collection('notifications'),
    subnets: ours.collection('subnets')
  }
}

export type BoundedCollections = {
  [Name in keyof Collections]: Collections[Name] extends Collection<infer T> ? BoundedCollection<T> : never
}

export function boundCollections (collections: Collections, run: RunStatement): BoundedCollections {
  return {
    clusters: boundCollection(collections.clusters, run),
    jobs: boundCollection(collections.jobs, run),
    net: boundCollection(collections.net, run),
    outbox: boundCollection(collections.outbox, run),
    leases: boundCollection(collections.leases, run),
    notifications: boundCollection(collections.notifications, run),
    subnets: boundCollection(collections.subnets, run)
  }
}

type Index = [IndexSpecification, CreateIndexesOptions?]

/** Sparse where most documents lack the field; a unique index is then one of those that have it. */
const INDEXES: Record<keyof Collections, Index[]> = {
  clusters: [
    [{ cluster_name: 1 }, { unique: true, sparse: true }],
    [{ cluster_location: 1 }]
  ],
  jobs: [
    [{ 'system_manager.live_name': 1 }, { unique: true, sparse: true }],
    [{ 'system_manager.addresses': 1 }, { unique: true, sparse: true }],
    [{ port: 1 }, { sparse: true }],
    [{ job_name: 1, 'system_manager.created_at': -1, _id: -1 }],
    // Also finds what the original wrote: it has no such field.
    [{
      'system_manager.underscored_name': 1,
      'system_manager.live_name': -1,
      'system_manager.created_at': -1,
      _id: -1
    }],
    [{ app_name: 1, app_ns: 1, _id: 1 }],
    [{ app_ns: 1, status: 1 }],
    [{ status: 1, _id: 1 }],
    // Finds what the Cloud Scheduler wrote: the two differ.
    [{ status: 1, 'system_manager.status': 1 }],
    [{ 'instance_list.cluster_id': 1, _id: 1 }],
    [{ 'system_manager.retiring': 1 }, { sparse: true }],
    [{ 'system_manager.unplaced': 1, _id: 1 }],
    [{ 'system_manager.due_at': 1, _id: 1 }, { sparse: true }],
    [{ 'system_manager.undeployed_at': 1 }, { sparse: true }],
    [{ 'system_manager.on_the_way.cluster_id': 1 }, { sparse: true }],
    [{ 'system_manager.drafts.command_id': 1 }, { sparse: true }]
  ],
  net: [[{ type: 1, _id: 1 }]],
  outbox: [
    [{ cluster_id: 1, seq: 1 }, { unique: true }],
    [{ open: 1, cluster_id: 1, seq: 1 }],
    [{ job_id: 1, open: 1 }],
    [{ settled_at: 1 }, { sparse: true }]
  ],
  leases: [[{ expires_at: 1 }]],
  notifications: [[{ at: 1 }]],
  subnets: [[{ address: 1 }]]
}

/**
 * Creates what is missing of the indexes. Throws `store_unavailable`, naming the collection, when one cannot be: its
 * data contradict it.
 */
export async function createIndexes (collections: Collections): Promise<void> {
  for (const [name, indexes] of Object.entries(INDEXES)) {
    const collection = collections[name as keyof Collections]
    for (const [keys, options] of indexes) {
      try {
        await collection.createIndex(keys, options)
      } catch (err) {
        if (isOutage(err)) throw err
        throw new ApiError(
          'store_unavailable',
          `${collection.namespace} cannot have the index ${JSON.stringify(keys)}: ${(err as Error).message}`,
          { cause: err }
        )
      }
    }
  }
}
