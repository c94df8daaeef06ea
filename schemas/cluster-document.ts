import type { Cluster } from './cluster.js'

/**
 * The document of clusters.clusters (contract section 7) without `_id`; our own fields follow. Dates are in MongoDB's
 * Extended JSON.
 */
function contractCluster (cluster: Cluster): Record<string, unknown> {
  return {
    cluster_name: cluster.cluster_name,
    ip: cluster.ip,
    port: cluster.port,
    clusterinfo: cluster.clusterinfo,
    cluster_location: cluster.cluster_location,
    nodes: cluster.nodes,
    aggregated_cpu_percent: cluster.aggregated_cpu_percent,
    total_cpu_cores: cluster.total_cpu_cores,
    aggregated_memory_percent: cluster.aggregated_memory_percent,
    memory_in_mb: cluster.memory_in_mb,
    active_nodes: cluster.active_nodes,
    technology: cluster.technology,
    more: cluster.more,
    last_modified: { $date: new Date(cluster.last_modified_timestamp * 1000).toISOString() },
    last_modified_timestamp: cluster.last_modified_timestamp,
    workers: cluster.workers,
    warnings: cluster.warnings,
    scheduling: cluster.scheduling,
    lost_at: cluster.lost_at,
    recovered_at: cluster.recovered_at,
    losses: cluster.losses,
    unknown_jobs: cluster.unknown_jobs,
    network_component_port: cluster.network_component_port,
    delivery: cluster.delivery,
    registered_at: cluster.registered_at,
    last_heartbeat_at: cluster.last_heartbeat_at
  }
}

/** A cluster as GET /api/clusters shows it (contract section 1). */
export function clusterWithOid (cluster: Cluster): Record<string, unknown> {
  return { _id: { $oid: cluster.id }, ...contractCluster(cluster) }
}
