import fp from 'fastify-plugin'
import { measureClusters } from './metrics.js'
import { createClusterRegistry, type ClusterRegistry } from './registry.js'

declare module 'fastify' {
  interface FastifyInstance {
    clusterRegistry: ClusterRegistry
  }
}

export default fp(async function clusterRegistry (app) {
  const registry = createClusterRegistry(app.store, app.config.CLUSTER_GRACE_S * 1000)
  app.decorate('clusterRegistry', registry)
  measureClusters(app.metrics, registry)
}, { name: 'cluster-registry', dependencies: ['config', 'store', 'metrics'] })
