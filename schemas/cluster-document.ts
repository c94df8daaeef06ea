import type { Cluster } from './cluster.js'

/**
 * The document of clusters.clusters (contract section 7) without `_id`; our own fields follow. Dates are in MongoDB's
 * Extended JSON. Figures that were not told are 0, the port is text, the timestamp that of the last heartbeat.
 */
function contractCluster (cluster: Cluster): Record<string, unknown> {
  return {
    cluster_name: cluster.cluster_name,
    ip: cluster.ip,
    port: String(cluster.port ?? ''),
    clusterinfo: cluster.clusterinfo,
    cluster_location: cluster.cluster_location,
    nodes: cluster.nodes,
    aggregated_cpu_percent: cluster.aggregated_cpu_percent ?? 0,
    total_cpu_cores: cluster.total_cpu_cores ?? 0,
    aggregated_memory_percent: cluster.aggregated_memory_percent ?? 0,
    memory_in_mb: cluster.memory_in_mb ?? 0,
    active_nodes: cluster.active_nodes ?? 0,
    technology: cluster.technology,
    more: cluster.more,
    last_modified: { $date: cluster.last_heartbeat_at ?? cluster.registered_at },
    last_modified_timestamp: cluster.last_heartbeat_at === null ? 0 : Date.parse(cluster.last_heartbeat_at) / 1000,
    workers: cluster.workers,
    warnings: cluster.warnings,
    scheduling: cluster.scheduling,
    lost_at: cluster.lost_at,
    recovered_at: cluster.recovered_at,
    losses: cluster.losses,
    unknown_jobs: cluster.unknown_jobs,
    network_component_port: cluster.network_component_port,
    registered_over: cluster.registered_over,
    delivery: cluster.delivery,
    registered_at: cluster.registered_at,
    last_heartbeat_at: cluster.last_heartbeat_at
  }
}

/** A cluster as GET /api/clusters shows it (contract section 1). */
export function clusterWithOid (cluster: Cluster): Record<string, unknown> {
  return { _id: { $oid: cluster.id }, ...contractCluster(cluster) }
}
