import type { onResponseHookHandler } from 'fastify'
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

/** The pattern of the route, never the URL: what clients make up must not become labels. */
const LABELS = ['method', 'route', 'status'] as const

/**
 * Metrics of the process and of every request. A registry per server, so that two in one process do not share figures.
 */
export default fp(async function metrics (app) {
  const registry = new Registry()
  app.decorate('metrics', registry)
  collectDefaultMetrics({ register: registry })

  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer',
    labelNames: LABELS,
    buckets: BUCKETS,
    registers: [registry]
  })

  /** A hook for the answers of one route, which looks up nothing but the status: it runs with every heartbeat. */
  function observing (route: string): onResponseHookHandler {
    const byStatus = new Map<string, Histogram.Internal<typeof LABELS[number]>>()
    return (request, reply, done) => {
      const key = `${request.method} ${reply.statusCode}`
      let series = byStatus.get(key)
      if (!series) byStatus.set(key, series = durations.labels(request.method, route, String(reply.statusCode)))
      series.observe(reply.elapsedTime / 1000)
      done()
    }
  }

  app.addHook('onRoute', route => {
    route.onResponse = [observing(route.url)].concat(route.onResponse ?? [])
  })
  const observeUnknown = observing('none')
  app.addHook('onResponse', function (request, reply, done) {
    if (request.is404) observeUnknown.call(this, request, reply, done)
    else done()
  })
}, { name: 'metrics' })

/** What the database counts is kept for so long, ms: however many scrape, it is asked once. */
const KEEP_MS = 5000

/** A figure that is dear to count, kept for a while. NaN while the count fails: other metrics tell what is wrong. */
export function keptFigure (count: () => Promise<number>): () => Promise<number> {
  let since = -Infinity
  let latest: Promise<number> | undefined
  return () => {
    if (!latest || performance.now() - since > KEEP_MS) {
      since = performance.now()
      latest = count().catch(() => Number.NaN)
    }
    return latest
  }
}
