import fp from 'fastify-plugin'
import { createClusterRegistry, type ClusterRegistry } from './registry.js'

declare module 'fastify' {
  interface FastifyInstance {
    clusterRegistry: ClusterRegistry
  }
}

export default fp(async function clusterRegistry (app) {
  app.decorate('clusterRegistry', createClusterRegistry(app.store.clusters, app.config.CLUSTER_GRACE_S * 1000))
}, { name: 'cluster-registry', dependencies: ['config', 'store'] })
