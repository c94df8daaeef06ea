import type { Command } from '../../../schemas/channel.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { NO_MAINTENANCE } from '../../../schemas/cluster-facts.js'
import type { Job, JobId } from '../../../schemas/job.js'
import { carriesDocument, hasUnplaced, reservationsOf } from '../../../schemas/job-facts.js'
import { jobForCluster } from '../../../schemas/job-document.js'
import type { ClusterStore, CommitOutcome, JobChange, JobStore } from '../../../stores/store.js'
import { idOf } from '../embedded-scheduler/sample.js'

/** What the lifecycle asks of the ports; a call of anything else fails. */
type Jobs = Pick<
  JobStore,
  | 'commit'
  | 'get'
  | 'getMany'
  | 'byName'
  | 'byAddress'
  | 'list'
  | 'unplaced'
  | 'due'
  | 'instancesOn'
  | 'contradicted'
  | 'reserved'
  | 'used'
>
type Clusters = Pick<
  ClusterStore,
  | 'register'
  | 'heartbeat'
  | 'touch'
  | 'get'
  | 'update'
  | 'list'
  | 'getMany'
  | 'signs'
  | 'placementViews'
  | 'at'
  | 'remove'
>

const NEW_CLUSTER: Omit<
  Cluster,
  | 'id'
  | 'cluster_name'
  | 'ip'
  | 'port'
  | 'network_component_port'
  | 'registered_over'
  | 'delivery'
  | 'clusterinfo'
  | 'cluster_location'
  | 'registered_at'
  | 'last_modified_timestamp'
> = {
  nodes: 0,
  active_nodes: null,
  aggregated_cpu_percent: null,
  total_cpu_cores: null,
  aggregated_memory_percent: null,
  memory_in_mb: null,
  technology: null,
  more: null,
  workers: null,
  warnings: [],
  ...NO_MAINTENANCE,
  last_heartbeat_at: null
}

/**
 * The parts of the store's ports that the lifecycle needs, in memory. What it gives out is what JSON can say, and
 * frozen: whoever changes what was read fails.
 */
export class ModelStore {
  readonly outbox = new Map<ClusterId, Command[]>()
  readonly leases = new Map<string, JobId>()
  readonly #jobs = new Map<JobId, Job>()
  readonly #clusters = new Map<ClusterId, Cluster>()
  readonly #lastSeq = new Map<ClusterId, number>()
  readonly #saved: (before: Job | undefined, job: Job, change: JobChange) => void
  #nextAddress = 1
  #nextCluster = 1

  /** @param saved Called with each change that was saved. */
  constructor (saved: (before: Job | undefined, job: Job, change: JobChange) => void) {
    this.#saved = saved
  }

  /** In order of id. */
  get allJobs (): Job[] {
    return [...this.#jobs.values()].sort(byId)
  }

  get allClusters (): Cluster[] {
    return [...this.#clusters.values()].sort(byId)
  }

  pending (clusterId: ClusterId): readonly Command[] {
    return this.outbox.get(clusterId) ?? []
  }

  async untaken (jobId: JobId): Promise<ClusterId[]> {
    const waiting = [...this.outbox].filter(([, commands]) => commands.some(command => command.job_id === jobId))
    return waiting.map(([id]) => id)
  }

  settle (clusterId: ClusterId, commandId: string): void {
    this.outbox.set(clusterId, this.pending(clusterId).filter(command => command.command_id !== commandId))
  }

  readonly jobs: JobStore = {
    commit: async changes => changes.map(change => this.#commit(change)),
    get: async id => this.#jobs.get(id),
    getMany: async ids => ids.map(id => this.#jobs.get(id)).filter(job => job !== undefined),
    byName: async name => {
      const named = this.allJobs.filter(job => job.job_name === name)
      return named.find(isLive) ?? named.at(-1)
    },
    byAddress: async address => this.#jobs.get(this.leases.get(address) ?? ''),
    list: async ({ cluster_id: clusterId, undeployed, ...query }) => page(this.allJobs.filter(job =>
      (undeployed !== false || job.status !== 'UNDEPLOYED') &&
      (clusterId === undefined || [...job.instance_list, ...job.retiring].some(entry => entry.cluster_id === clusterId))
    ), query),
    unplaced: async query => page(this.allJobs.filter(hasUnplaced), query),
    due: async ({ before, after, limit }) => {
      const key = ({ due_at: dueAt, id }: Pick<Job, 'id' | 'due_at'>) => `${dueAt} ${id}`
      const due = this.allJobs.filter(job => job.due_at !== null && job.due_at <= before)
      return due.filter(job => !after || key(job) > key(after)).sort((a, b) => key(a) < key(b) ? -1 : 1).slice(0, limit)
    },
    instancesOn: async clusterId => this.#instancesOn(clusterId),
    contradicted: async (clusterId, told) =>
      this.#instancesOn(clusterId).filter(({ job_id: id, status }) => told.has(id) && told.get(id) !== status),
    used: async appNs => {
      const jobs = this.allJobs.filter(job => job.descriptor.app_ns === appNs && job.status !== 'UNDEPLOYED')
      return { jobs: jobs.length, addresses: jobs.flatMap(job => [...addressesOf(job)]).length }
    },

    reserved: async () => {
      const sums = new Map<ClusterId, { cpu: number, memory: number }>()
      for (const job of this.allJobs) {
        for (const [id, { cpu, memory }] of reservationsOf(job)) {
          const sum = sums.get(id) ?? { cpu: 0, memory: 0 }
          sums.set(id, { cpu: sum.cpu + cpu, memory: sum.memory + memory })
        }
      }
      return sums
    }
  } satisfies Jobs as Jobs as JobStore

  readonly clusters: ClusterStore = {
    register: async (identity, now) => {
      const known = this.allClusters.find(cluster => cluster.cluster_name === identity.cluster_name)
      return this.#setCluster({
        ...known ?? { ...NEW_CLUSTER, id: idOf(this.#nextCluster++), registered_at: new Date(now).toISOString() },
        ...identity,
        last_modified_timestamp: now / 1000
      })
    },
    heartbeat: async (id, figures, now) => this.#change(id, () => ({
      ...figures,
      last_heartbeat_at: new Date(now).toISOString(),
      last_modified_timestamp: now / 1000
    })),
    touch: async (id, now) => this.#change(id, () => ({ last_modified_timestamp: now / 1000 })),
    get: async id => this.#clusters.get(id),
    update: async (id, fields) => this.#change(id, () => fields),
    getMany: async ids => this.allClusters.filter(({ id }) => ids.includes(id)),
    list: async query => page(this.allClusters, query),
    signs: async () => this.allClusters.map(({ lost_at: lostAt, evicted_at: evictedAt, ...sign }) => ({
      ...sign, lost: lostAt !== null, evicted: evictedAt !== null
    })),
    placementViews: async () => this.allClusters,
    at: async place => this.allClusters.filter(({ id, cluster_name: name, cluster_location: location }) => [id, name, location].includes(place)),
    remove: async id => {
      this.outbox.delete(id)
      return this.#clusters.delete(id)
    }
  } satisfies Clusters as Clusters as ClusterStore

  #commit (change: JobChange): CommitOutcome {
    const { job, commands } = change
    const before = this.#jobs.get(job.id)
    if (job.revision !== (before?.revision ?? 0)) return { outcome: 'stale' }
    if (isLive(job) && this.allJobs.some(other => other.id !== job.id && other.job_name === job.job_name && isLive(other))) {
      return { outcome: 'name_taken' }
    }
    const named = new Set(addressesOf(job))
    const taken = [...named].find(address => (this.leases.get(address) ?? job.id) !== job.id)
    if (taken !== undefined) return { outcome: 'address_taken', address: taken }

    for (const [address, holder] of this.leases) if (holder === job.id && !named.has(address)) this.leases.delete(address)
    for (const address of named) this.leases.set(address, job.id)
    const saved = asStored({
      ...job,
      revision: job.revision + 1,
      service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: entry.Address || this.#lease(job.id) })),
      instance_list: job.instance_list.map(entry => ({ ...entry, instance_ip: entry.instance_ip || this.#lease(job.id) }))
    })
    this.#jobs.set(job.id, saved)
    for (const { cluster_id: clusterId, ...command } of commands) {
      if (!this.#clusters.has(clusterId)) continue
      const seq = (this.#lastSeq.get(clusterId) ?? 0) + 1
      this.#lastSeq.set(clusterId, seq)
      const document = carriesDocument(command) && { job: jobForCluster(saved, clusterId) }
      this.outbox.set(clusterId, [...this.pending(clusterId), { ...command, seq, ...document }])
    }
    this.#saved(before, saved, change)
    return { outcome: 'saved', job: saved }
  }

  #lease (jobId: JobId): string {
    for (;;) {
      const place = this.#nextAddress++
      const address = `172.30.${place >> 8}.${place & 255}`
      if (this.leases.has(address)) continue
      this.leases.set(address, jobId)
      return address
    }
  }

  #instancesOn (clusterId: ClusterId) {
    return this.allJobs.flatMap(({ id, instance_list: list }) => list.filter(entry => entry.cluster_id === clusterId && clusterId !== '')
      .map(({ instance_number, status }) => ({ job_id: id, instance_number, status })))
  }

  #setCluster (cluster: Cluster): Cluster {
    const stored = asStored(cluster)
    this.#clusters.set(cluster.id, stored)
    return stored
  }

  #change (id: ClusterId, fields: (known: Cluster) => object): boolean {
    const known = this.#clusters.get(id)
    if (known) this.#setCluster({ ...known, ...fields(known) })
    return known !== undefined
  }
}

/** All that a job names. */
export function addressesOf ({ service_ip_list: services, instance_list: list, retiring }: Job): string[] {
  return [
    ...services.map(({ Address }) => Address),
    ...list.map(({ instance_ip: address }) => address),
    ...retiring.flatMap(({ instances }) => instances.map(({ instance_ip: address }) => address))
  ].filter(address => address !== '')
}

const byId = (a: { id: string }, b: { id: string }) => a.id < b.id ? -1 : 1

const isLive = ({ desired_state: desired }: Job) => desired === 'running'

function page<T extends { id: string }> (all: T[], { after = '', limit = Infinity }: { after?: string, limit?: number }): T[] {
  return all.filter(({ id }) => id > after).slice(0, limit)
}

function asStored<T> (value: T): T {
  return frozen(JSON.parse(JSON.stringify(value)))
}

function frozen<T> (value: T): T {
  if (typeof value !== 'object' || value === null) return value
  Object.values(value).forEach(frozen)
  return Object.freeze(value)
}
