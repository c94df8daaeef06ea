import fp from 'fastify-plugin'
import { measureClusters } from './metrics.js'
import { createLiveness } from './liveness.js'
import { createClusterRegistry, type ClusterRegistry } from './registry.js'
import { createSubnets, type Subnets } from './subnets.js'

declare module 'fastify' {
  interface FastifyInstance {
    clusterRegistry: ClusterRegistry
    subnets: Subnets
  }
}

/** Milliseconds between observations of what other processes heard, at most. */
const OBSERVE_MS = 5000
/** Observations in a grace time, at least. */
const OBSERVATIONS = 9

export default fp(async function clusterRegistry (app) {
  const graceMs = app.config.CLUSTER_GRACE_S * 1000
  const registry = createClusterRegistry(app.store, createLiveness(graceMs))
  app.decorate('clusterRegistry', registry)
  app.decorate('subnets', createSubnets(app.store.subnets, app.config.SUBNETS_PER_ADDRESS))
  measureClusters(app.metrics, registry)
  const loop = app.loops.start({
    name: 'liveness',
    everyMs: Math.min(OBSERVE_MS, graceMs / OBSERVATIONS),
    run: () => registry.observe()
  })
  app.addHook('onClose', () => loop.stop())
}, { name: 'cluster-registry', dependencies: ['config', 'store', 'metrics', 'loops'] })
