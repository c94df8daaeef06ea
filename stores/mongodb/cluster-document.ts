import { Double } from 'mongodb'
import { asCluster, type Cluster } from '../../schemas/cluster.js'
import { NO_MAINTENANCE } from '../../schemas/cluster-facts.js'
import type { ClusterSign } from '../store.js'
import type { ClusterDocument } from './collections.js'

/** Figures of a heartbeat that are numbers. */
export const FIGURES = [
  'aggregated_cpu_percent',
  'total_cpu_cores',
  'aggregated_memory_percent',
  'memory_in_mb',
  'active_nodes'
] as const
type Figure = typeof FIGURES[number]

/**
 * What a cluster has not told is 0, with this timestamp too: the original scheduler computes with it, and fails for all
 * jobs over one null (contract section 10).
 */
export const UNTOLD = {
  ...Object.fromEntries(FIGURES.map(name => [name, 0])) as Record<Figure, number>,
  last_modified_timestamp: new Double(0)
}

/**
 * A cluster from its document, which may be one of the original: fields are missing then, and numbers may be strings.
 * @throws Error that says why the document cannot be understood.
 */
export function toCluster (document: ClusterDocument): Cluster {
  const { seen_at: _, told, acked, last, channel, ...ours } = document.system_manager ?? {}
  const heard = toNumber(document.last_modified_timestamp)
  const figures = Object.fromEntries(FIGURES.map(name => {
    const value = toNumber(document[name])
    // Nobody has told it: the document has 0, for the scheduler to compute with.
    return [name, value === 0 && !told?.[name] ? null : value]
  }))
  return asCluster({
    id: document._id.toHexString(),
    cluster_name: String(document.cluster_name ?? ''),
    ip: String(document.ip ?? ''),
    port: toNumber(document.port),
    clusterinfo: document.clusterinfo ?? null,
    cluster_location: toText(document.cluster_location),
    nodes: toNumber(document.nodes) ?? 0,
    ...figures,
    technology: toStrings(document.technology),
    more: document.more ?? null,
    network_component_port: null,
    // The original knew nothing else, and our earlier versions did not note it.
    registered_over: ours.delivery === 'channel' ? 'channel' : 'socket.io',
    delivery: 'http',
    workers: null,
    warnings: [],
    registered_at: document._id.getTimestamp().toISOString(),
    last_heartbeat_at: heard !== null && heard > 0 ? new Date(heard * 1000).toISOString() : null,
    ...NO_MAINTENANCE,
    ...ours,
    evicted_at: evictionOf(document),
    last_modified_timestamp: lastSign(document)
  })
}

/** The fields that {@link toSign} reads. */
export const SIGN = {
  last_modified_timestamp: 1,
  'system_manager.seen_at': 1,
  'system_manager.lost_at': 1,
  'system_manager.evicted_at': 1
}

export function toSign (document: ClusterDocument): ClusterSign {
  return {
    id: document._id.toHexString(),
    last_modified_timestamp: lastSign(document),
    lost: (document.system_manager?.lost_at ?? null) !== null,
    evicted: evictionOf(document) !== null
  }
}

/** Before evictions could be held, a cluster was evicted when it was lost. */
function evictionOf ({ system_manager: ours }: ClusterDocument): string | null {
  const { lost_at: lostAt = null, evicted_at: evictedAt = lostAt } = ours ?? {}
  return evictedAt
}

/** Ours is of any sign of life, the original's of the last heartbeat: a document that it wrote has no other. */
function lastSign ({ system_manager: ours, last_modified_timestamp: heard }: ClusterDocument): number {
  return Math.max(toNumber(ours?.seen_at) ?? 0, toNumber(heard) ?? 0)
}

/** Null for what is no number. */
export function toNumber (value: unknown): number | null {
  if (value === null || value === undefined || value === '') return null
  const number = Number(value)
  return Number.isFinite(number) ? number : null
}

function toText (value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
}

/** The original also has one technology as a plain string. */
function toStrings (value: unknown): string[] | null {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.map(String) : null
}
