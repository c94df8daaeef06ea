import fp from 'fastify-plugin'
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client'

declare module 'fastify' {
  interface FastifyInstance {
    /** This server's metrics: each concern makes its own with `registers: [app.metrics]`. */
    metrics: Registry
  }
}

/** Seconds; a heartbeat takes well under the first, and nothing should come near the last. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5]

/** Metrics of the process and of every request. A registry per server, so that two in one process do not share figures. */
export default fp(async function metrics (app) {
  const registry = new Registry()
  app.decorate('metrics', registry)
  collectDefaultMetrics({ register: registry })

  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer',
    // The pattern of the route, never the URL: what clients make up must not become labels.
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    registers: [registry]
  })

  app.addHook('onResponse', async (request, reply) => {
    durations.observe({ method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode }, reply.elapsedTime / 1000)
  })
}, { name: 'metrics' })
