import type { EventEmitter } from 'node:events'
import type { Command, CommandDraft } from '../schemas/channel.js'
import type { Cluster, ClusterId, PlacementView, Worker } from '../schemas/cluster.js'
import type { Descriptor } from '../schemas/descriptor.js'
import type { Job, JobId } from '../schemas/job.js'
import type { JobEvent } from '../schemas/job-event.js'
import type { Status } from '../schemas/status.js'

/**
 * The port between the System Manager and its database. Words of the domain, no query language.
 * Every promise of a write resolves after the write is durable, except where a method says otherwise.
 *
 * A stored document of a job, a cluster or a command that cannot be understood (damaged, or of a newer version) affects
 * itself only, and is logged once. Asked for itself, the read rejects with `job_unreadable` or `cluster_unreadable`;
 * what gives several goes on without it. A page that is shorter than its `limit` is the last one nevertheless.
 *
 * Two adapters pass one suite of tests (test/service/stores/contract.ts).
 */
export interface Store {
  clusters: ClusterStore
  jobs: JobStore
  outbox: OutboxStore
  subnets: SubnetStore
  channels: ChannelStore
  leases: LeaseStore
  /**
   * What other processes on the same database did. Best effort: who listens also polls from time to time.
   */
  notifications: EventEmitter<StoreNotifications>
  /** Stored documents that could not be understood since it was opened: "job 65a1b2c3d4e5f60718293a4b". */
  unreadable (): string[]
  /** Rejects when the database does not answer. */
  check (): Promise<void>
  /** Writes what is pending, then lets go of the database. */
  close (): Promise<void>
}

export interface StoreNotifications {
  /** Commands for these clusters were put into the outbox. */
  commands: [ClusterId[]]
  /** Instances may wait for a cluster. */
  unplaced: []
  /** The channels of these clusters were claimed. */
  claims: [ClusterId[]]
}

/** What a registration sets; heartbeat figures of a known cluster stay as they are. */
export type ClusterIdentity = Pick<
  Cluster,
  | 'cluster_name'
  | 'ip'
  | 'port'
  | 'network_component_port'
  | 'registered_over'
  | 'delivery'
  | 'clusterinfo'
  | 'cluster_location'
>

/** What a heartbeat reports. A field that is absent keeps its value. */
export interface ClusterFigures {
  aggregated_cpu_percent?: number
  total_cpu_cores?: number
  aggregated_memory_percent?: number
  memory_in_mb?: number
  active_nodes?: number
  technology?: string[]
  workers?: Worker[]
  more?: unknown
  /** Always replaced: the warnings of the last heartbeat. */
  warnings: string[]
}

/** What the lifecycle and operators set on a cluster. */
export type MaintenanceFields = Partial<
  Pick<Cluster, 'scheduling' | 'lost_at' | 'evicted_at' | 'recovered_at' | 'losses' | 'unknown_jobs' | 'takeover'>
>

/** The last sign of life of a cluster, Unix seconds, and whether it was lost and what it ran was started elsewhere. */
export interface ClusterSign extends Pick<Cluster, 'id' | 'last_modified_timestamp'> {
  lost: boolean
  evicted: boolean
}

export interface ClusterStore {
  /**
   * Registers by `cluster_name`: a known name keeps its id. `now` in Unix milliseconds becomes the last sign of life.
   */
  register (identity: ClusterIdentity, now: number): Promise<Cluster>
  /**
   * Records a heartbeat. False for an unknown cluster (never creates one). Visible to readers immediately; not waited
   * for on disk, since the next heartbeat brings the same. `now` is stored even if it is earlier than the last time.
   */
  heartbeat (id: ClusterId, figures: ClusterFigures, now: number): Promise<boolean>
  /** Records a sign of life without figures (a pong). As durable as a heartbeat. */
  touch (id: ClusterId, now: number): Promise<boolean>
  /** Adds to the worker count (never below 0). The new count, or undefined for an unknown cluster. */
  addNodes (id: ClusterId, delta: number): Promise<number | undefined>
  /** Sets the worker count. The new count, or undefined for an unknown cluster. */
  setNodes (id: ClusterId, count: number): Promise<number | undefined>
  get (id: ClusterId): Promise<Cluster | undefined>
  /** Sets these fields and no others. False for an unknown cluster. */
  update (id: ClusterId, fields: MaintenanceFields): Promise<boolean>
  /** Those of these clusters that are known, in order of id. */
  getMany (ids: ClusterId[]): Promise<Cluster[]>
  /** In order of id, after `after`. */
  list (query: { after?: ClusterId, limit?: number }): Promise<Cluster[]>
  /** All clusters, as placement needs them. */
  placementViews (): Promise<PlacementView[]>
  /** Of all clusters, also of those that cannot be understood. Reads nothing else of them. */
  signs (): Promise<ClusterSign[]>
  /** The clusters of this location, name or id, in order of id. */
  at (place: string): Promise<Cluster[]>
  /** Forgets a cluster, its outbox and the claim to its channel. False when there was none. */
  remove (id: ClusterId): Promise<boolean>
}

/** Events kept per job: a service that flaps for a month must not fill the disk. */
export const MAX_EVENTS_PER_JOB = 500

/**
 * The next state of one job, with all that must become durable in the same atomic step.
 *
 * Addresses: those that `job` names (service_ip_list, instance_list, retiring) are exactly those leased to it.
 * An empty Address or instance_ip is filled with a leased one; a named one that the job does not hold yet is claimed;
 * one that is no longer named is given back.
 */
export interface JobChange {
  /** `revision` is the one that was read, 0 for a new job; it is stored with one more. */
  job: Job
  /** Appended in order; the store gives the ids and keeps the newest {@link MAX_EVENTS_PER_JOB} of a job. */
  events: Array<Omit<JobEvent, 'id'>>
  /**
   * Appended to the outboxes of their clusters in order; each gets the next `seq` of its cluster and, for deploy and
   * replicate, the stored job document.
   */
  commands: CommandDraft[]
}

/** What became of a {@link JobChange}. Anything but `saved` changed nothing at all. */
export type CommitOutcome =
  | { outcome: 'saved', job: Job }
  /** Someone else changed or removed the job since it was read: read again, decide again. */
  | { outcome: 'stale' }
  /** Another live job has this job_name. */
  | { outcome: 'name_taken' }
  /** A named address belongs to another job. */
  | { outcome: 'address_taken', address: string }
  /** 172.30.0.0/16 has no free address left. */
  | { outcome: 'addresses_exhausted' }
  /**
   * It is not known to be saved, and that cannot be known now. `error` is `store_unavailable`, unless the change is
   * to blame.
   */
  | { outcome: 'failed', error: unknown }

/** An instance as the heartbeat path needs it, without its document. */
export interface PlacedInstance {
  job_id: JobId
  instance_number: number
  status: Status
}

/** How many instances take host ports on a cluster: "8080/tcp", or several joined by ";". */
export interface HostPortUse {
  cluster_id: ClusterId
  host_port: string
  instances: number
}

export interface JobQuery {
  /** Jobs with one of these; at least one. */
  status?: readonly Status[]
  /** false: without UNDEPLOYED jobs. */
  undeployed?: boolean
  /** Jobs with an instance placed on this cluster, or retiring from it. */
  cluster_id?: ClusterId
  job_name?: string
  app_name?: string
  app_ns?: string
  after?: JobId
  limit?: number
}

export interface JobStore {
  /**
   * Commits each change atomically and on its own; all of them in one batch. Outcomes in the order of the changes.
   * Rejects where all of them failed.
   */
  commit (changes: JobChange[]): Promise<CommitOutcome[]>
  /** `job_unreadable` when its document cannot be understood; so do the other look-ups of one job. */
  get (id: JobId): Promise<Job | undefined>
  getMany (ids: JobId[]): Promise<Job[]>
  /**
   * Earlier descriptors of a job by their generation: those that are null in its `revisions`, since a change of the job
   * needs them no more (`withoutOldDescriptors`).
   */
  oldDescriptors (id: JobId): Promise<Map<number, Descriptor>>
  /** The live job of this exact name, else the last undeployed one that can be understood. */
  byName (jobName: string): Promise<Job | undefined>
  /**
   * Jobs whose name, with "." read as "_", is this (contract section 2); live ones first, at most two. `job_unreadable`
   * when a live one cannot be understood, which may be the one that is meant, or when none can.
   */
  byUnderscoredName (name: string): Promise<Job[]>
  /** The job that holds this service or instance address. */
  byAddress (address: string): Promise<Job | undefined>
  /** Status of a job without reading its document. */
  status (id: JobId): Promise<Status | undefined>
  /** In order of id, after `after`. */
  list (query: JobQuery): Promise<Job[]>
  /**
   * Jobs that are not UNDEPLOYED, each as the contract's document in JSON, `_id` as `{"$oid"}`, in order of id, after
   * `after` (contract section 1).
   */
  documents (query: { after?: JobId, limit: number }): Promise<Array<{ id: JobId, text: string }>>
  /**
   * Jobs that want to run and have an instance without a cluster that awaits nothing, in order of id, after `after`.
   */
  unplaced (query: { after?: JobId, limit: number }): Promise<Job[]>
  /** Jobs whose `due_at` is at or before `before` (ISO time), the longest due first, after the job `after`. */
  due (query: { before: string, after?: Pick<Job, 'id' | 'due_at'>, limit: number }): Promise<Job[]>
  /** All instances that are placed on a cluster. Costs what is there, and reads no documents. */
  instancesOn (clusterId: ClusterId): Promise<PlacedInstance[]>
  /**
   * Instances on a cluster whose stored status is not the one that the cluster reports of them; with null, all those of
   * the job. Costs what was reported, not what runs there: a heartbeat that says nothing new finds nothing.
   */
  contradicted (clusterId: ClusterId, reported: ReadonlyMap<JobId, Status | null>): Promise<PlacedInstance[]>
  /**
   * Requirements of instances that are placed but not yet RUNNING, summed per cluster: free figures of heartbeats do
   * not show them yet.
   */
  reserved (): Promise<Map<ClusterId, { cpu: number, memory: number }>>
  /** What the jobs of a namespace (`app_ns`) use. */
  used (appNs: string): Promise<NamespaceUse>
  /** How many placed instances take host ports (`hostPortsOf`), per cluster and ports. */
  hostPorts (): Promise<HostPortUse[]>
  /** Events of a job in order, after event id `after`. */
  events (id: JobId, query: { after?: number, limit: number }): Promise<JobEvent[]>
  /**
   * Forgets jobs that were UNDEPLOYED before `before` (ISO time), with their events; the number of them. One with
   * `removals` stays while one of those clusters is known, which never forgets it: its name keeps its id.
   */
  purge (before: string): Promise<number>
}

export interface OutboxStore {
  /** `acked`: the cluster durably took all up to it; `last`: the highest `seq` given out. Both 0 at first. */
  position (clusterId: ClusterId): Promise<{ acked: number, last: number }>
  /** Commands after `after` that are not settled, in order of `seq`. */
  pending (clusterId: ClusterId, query: { after: number, limit: number }): Promise<Command[]>
  /** Commands that are not settled, of all clusters. */
  backlog (): Promise<number>
  /** Clusters with commands about this job that are not settled: they may not know of its newest state. */
  untaken (jobId: JobId): Promise<ClusterId[]>
  /** Settles all commands up to and including `seq`. Idempotent, never goes back. */
  ack (clusterId: ClusterId, seq: number): Promise<void>
  /** Settles one command that the cluster refused. */
  drop (clusterId: ClusterId, seq: number): Promise<void>
  /** Clusters with commands that are not settled, in order of id, after `after`. */
  clusters (query: { after?: ClusterId, limit: number }): Promise<ClusterId[]>
}

/** Who speaks with a cluster over its channel, where several processes share the database. */
export interface ChannelClaim {
  /** The process, by its name in {@link LeaseStore}. */
  holder: string
  /** Rises by one with each claim to the channel of a cluster, across restarts: the higher one is the newer session. */
  claim: number
}

export interface ChannelStore {
  /** The newest session of this cluster is with `holder` from now on. Gives the number of the claim. */
  claim (clusterId: ClusterId, holder: string): Promise<number>
  /** The session has ended. Changes nothing when a newer one was claimed since. */
  release (clusterId: ClusterId, claim: number): Promise<void>
  /** The claims of these clusters whose holder has a lease `process/<holder>` that has not expired. */
  current (clusterIds: ClusterId[]): Promise<Map<ClusterId, ChannelClaim>>
}

export interface LeaseStore {
  /**
   * Takes a lease, or prolongs it for who holds it already. Gives a fencing token, which rises by one each time that
   * the lease changes hands or is taken after it expired; undefined while another holds it.
   */
  acquire (name: string, holder: string, ttlMs: number): Promise<number | undefined>
  /** Gives it back early. Changes nothing when another holds it. */
  release (name: string, holder: string): Promise<void>
}

/** A subnet of 64 addresses for the containers of one worker node (contract section 2). */
export interface Subnet {
  /** Its first address. */
  subnet: string
  /** Remote address that it was given to; null where another program gave it out, or an earlier version. */
  address: string | null
  /** ISO 8601, UTC; null as above. */
  given_at: string | null
}

export type SubnetOutcome =
  | { outcome: 'given', subnet: string }
  /** The address has `used` of them already. */
  | { outcome: 'limit', used: number }
  /** All are given out. */
  | { outcome: 'exhausted' }

export interface SubnetStore {
  /**
   * Gives out the next subnet from 172.18.0.0 on, then those that were released (contract section 7).
   * @param most Subnets that one remote address may have.
   * @param now Unix milliseconds.
   */
  take (address: string, most: number, now: number): Promise<SubnetOutcome>
  /** Those that are given out, in order, after the subnet `after`. */
  list (query: { after?: string, limit: number }): Promise<Subnet[]>
  /** Takes one back, to be given out again. False when it is not given out. */
  release (subnet: string): Promise<boolean>
}

/** What the jobs of one namespace use, those that are being removed among them. */
export interface NamespaceUse {
  jobs: number
  /** Service and instance addresses. */
  addresses: number
}
