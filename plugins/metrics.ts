import type { onResponseHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client'

declare module 'fastify' {
  interface FastifyInstance {
    /** Metrics of this server. Each service adds its own, named `edgeio_…`, with `registers: [app.metrics]`. */
    metrics: Registry
  }
}

/** Milliseconds for which a figure counted by the database is kept. */
const KEEP_MS = 5000

/** Histogram buckets, in seconds: a heartbeat takes well under the first, and nothing should come near the last. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5]

/** `route` is the pattern of the route, never the URL: clients must not create labels. */
const LABELS = ['method', 'route', 'status'] as const

/**
 * Metrics of the process and of every request. A registry per server, so that two in one process do not share figures.
 */
export default fp(async function metrics (app) {
  const registry = new Registry()
  app.decorate('metrics', registry)
  collectDefaultMetrics({ register: registry })

  const durations = new Histogram({
    name: 'edgeio_http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer',
    labelNames: LABELS,
    buckets: BUCKETS,
    registers: [registry]
  })

  /** The hook for one route. It looks up only the method and status, since it runs with every heartbeat. */
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

/**
 * A `collect` for a figure that the database counts, at most once in {@link KEEP_MS} however many scrape. NaN while the
 * count fails.
 */
export function countedByStore (count: () => Promise<number>, set: (count: number) => void): () => Promise<void> {
  let since = -Infinity
  let latest: Promise<number> | undefined
  return async () => {
    if (!latest || performance.now() - since > KEEP_MS) {
      since = performance.now()
      // Other metrics and /readyz show that the database fails.
      latest = count().catch(() => Number.NaN)
    }
    set(await latest)
  }
}
