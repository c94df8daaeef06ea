import { Counter, Gauge, type Registry } from 'prom-client'
import type { ClusterRegistry } from './registry.js'

/** How many clusters there are, and what they send. */
export function measureClusters (metrics: Registry, clusters: ClusterRegistry): void {
  let taken = 0
  clusters.events.on('alive', () => {
    taken++
  })
  const signs = new Counter({
    name: 'edgeio_cluster_signs_total',
    help: 'Registrations and heartbeats taken',
    registers: [metrics],
    // Counted by hand, since this is the most frequent thing of all.
    collect () {
      signs.reset()
      signs.inc(taken)
    }
  })

  const takeovers = new Counter({
    name: 'edgeio_cluster_takeovers_total',
    help: 'Times that another address or session took over the name of a cluster that was in use',
    registers: [metrics]
  })
  clusters.events.on('takeover', () => takeovers.inc())

  const active: Gauge = new Gauge({
    name: 'edgeio_clusters_active',
    help: 'Clusters with a sign of life within the grace time',
    registers: [metrics],
    collect () {
      active.set(clusters.liveness.countActive())
    }
  })
}
