import type { ClusterId, PlacementView } from '../../../schemas/cluster.js'
import { closedReason, isOriginal, offerOf } from '../../../schemas/cluster-facts.js'
import { MAX_QUANTITY } from '../../../schemas/primitives.js'
import type { Offer } from '../../../schemas/job.js'
import type { Candidate } from '../scheduler.js'

/** Free cores and MB; null where the cluster has not reported them. */
export interface Free {
  cpu: number | null
  memory: number | null
}

/** A worker node, with what it has left in this pass. */
export interface WorkerCapacity {
  name: string
  technology: readonly string[]
  free: { cpu: number, memory: number }
}

/** A cluster, with what it has left in this pass. */
export interface ClusterCapacity {
  id: ClusterId
  name: string
  location: string | null
  /** Its position by cluster id. Breaks ties, so that the order in which clusters were read decides nothing. */
  rank: number
  /** When it gave its last sign of life, Unix milliseconds. */
  lastSign: number
  alive: boolean
  /** It takes one instance of a job (contract section 10). */
  original: boolean
  /** Why it takes nothing new; undefined when it does. */
  closed: string | undefined
  /** It has sent a heartbeat: only then do its figures mean anything. */
  heard: boolean
  technology: readonly string[]
  /** Of the whole cluster, less what is reserved and what this pass gave away. */
  free: Free
  /** As it reported it. */
  offer: Offer
  /** Workers that it has: each holds a host port once. */
  hosts: number
  /** How many instances take each host port. */
  ports: Map<string, number>
  /** Empty when the cluster lists none: then it picks the worker (contract section 6). */
  workers: WorkerCapacity[]
}

/** All clusters of a pass. */
export interface Capacities {
  /** In order of cluster id. */
  all: ClusterCapacity[]
  /** Ids of the original ones. */
  originals: ReadonlySet<ClusterId>
  byId (id: ClusterId): ClusterCapacity | undefined
  /** The clusters with this location or name, in order of cluster id. Undefined: all of them. */
  at (location: string | undefined): ClusterCapacity[]
}

/** What a cluster offers when it lists no technology (contract section 6). */
const DEFAULT_TECHNOLOGY = ['docker']

/** @param now Unix milliseconds. @param graceMs Milliseconds of silence after which a cluster is inactive. */
export function createCapacities (candidates: Candidate[], now: number, graceMs: number): Capacities {
  const all = [...candidates]
    .sort((a, b) => a.cluster.id < b.cluster.id ? -1 : 1)
    .map((candidate, rank) => capacityOf(candidate, rank, now, graceMs))
  const byPlace = new Map<string | null, ClusterCapacity[]>()
  for (const capacity of all) {
    for (const place of new Set([capacity.name, capacity.location])) {
      const there = byPlace.get(place)
      if (there) there.push(capacity)
      else byPlace.set(place, [capacity])
    }
  }
  const originals = new Set(all.filter(({ original }) => original).map(({ id }) => id))
  const byId = new Map(all.map(capacity => [capacity.id, capacity]))
  return {
    all,
    originals,
    byId: id => byId.get(id),
    at: location => location === undefined ? all : byPlace.get(location) ?? []
  }
}

/**
 * A figure as a number that can be reckoned with. A database that another program filled may hold text or a number
 * beyond all bounds, and one score of NaN would put all clusters out of order. Null for what is no number.
 */
export function toFigure (stored: unknown): number | null {
  const n = typeof stored === 'string' && stored !== '' ? Number(stored) : stored
  return Number.isFinite(n) ? Math.min(n as number, MAX_QUANTITY) : null
}

function capacityOf (
  { cluster, reserved, silentMs }: Candidate,
  rank: number,
  now: number,
  graceMs: number
): ClusterCapacity {
  const technology = listed(cluster.technology) ?? DEFAULT_TECHNOLOGY
  const workers = (cluster.workers ?? []).map(worker => ({
    name: worker.name,
    technology: listed(worker.technology) ?? technology,
    free: { cpu: toFigure(worker.cpu_cores) ?? 0, memory: toFigure(worker.memory_in_mb) ?? 0 }
  }))
  return {
    id: cluster.id,
    name: cluster.cluster_name,
    location: cluster.cluster_location,
    rank,
    lastSign: cluster.last_modified_timestamp * 1000,
    alive: silentMs < graceMs,
    original: isOriginal(cluster),
    closed: closedReason(cluster, now),
    heard: cluster.last_heartbeat_at !== null,
    technology,
    free: freeOf(cluster, workers, reserved),
    offer: offerOf(cluster),
    hosts: workers.length || (toFigure(cluster.active_nodes) ?? 0) || 1,
    ports: new Map(),
    workers
  }
}

/** The cluster's own sums; where it reports none but lists workers, the sums over these. */
function freeOf (cluster: PlacementView, workers: WorkerCapacity[], reserved: Candidate['reserved']): Free {
  const summed = (key: 'cpu' | 'memory') =>
    workers.length === 0 ? null : workers.reduce((sum, { free }) => sum + free[key], 0)
  const less = (total: number | null, taken: number) => total === null ? null : toFigure(total - taken)
  return {
    cpu: less(toFigure(cluster.total_cpu_cores) ?? summed('cpu'), reserved.cpu),
    memory: less(toFigure(cluster.memory_in_mb) ?? summed('memory'), reserved.memory)
  }
}

function listed (technology: readonly string[] | null | undefined): readonly string[] | undefined {
  return technology?.length ? technology : undefined
}
