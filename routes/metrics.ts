import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Counter, Gauge } from 'prom-client'
import { text, textErrors } from '../schemas/openapi.js'

/** Figures that the database counts are kept for so long, ms: however many scrape, it is asked once. */
const KEEP_MS = 5000

/** What this server holds, and GET /metrics. */
const routes: FastifyPluginAsyncTypebox = async app => {
  const registers = [app.metrics]

  let heartbeats = 0
  app.clusterRegistry.events.on('alive', () => {
    heartbeats++
  })
  const signs = new Counter({
    name: 'cluster_signs_total',
    help: 'Registrations and heartbeats taken',
    registers,
    // Counted by hand, since this is the most frequent thing of all.
    collect () {
      signs.reset()
      signs.inc(heartbeats)
    }
  })

  const channels = new Gauge({
    name: 'cluster_channels_open',
    help: 'Open WebSocket channels',
    registers,
    collect () {
      channels.set(app.websocketServer.clients.size)
    }
  })

  const activeCount = kept(() => app.clusterRegistry.countActive())
  const active = new Gauge({
    name: 'clusters_active',
    help: 'Clusters with a sign of life within the grace time',
    registers,
    async collect () {
      active.set(await activeCount() ?? Number.NaN)
    }
  })

  const backlogCount = kept(() => app.store.outbox.backlog())
  const backlog = new Gauge({
    name: 'outbox_backlog',
    help: 'Commands that clusters have not acknowledged yet',
    registers,
    async collect () {
      backlog.set(await backlogCount() ?? Number.NaN)
    }
  })

  app.get('/metrics', {
    schema: {
      operationId: 'getMetrics',
      summary: 'Metrics in the text format of Prometheus',
      tags: ['server'],
      response: {
        200: text(
          'The metrics',
          '# HELP clusters_active Clusters with a sign of life within the grace time\n# TYPE clusters_active ' +
            'gauge\nclusters_active 2\n'
        ),
        ...textErrors()
      }
    }
  }, async (_request, reply) => {
    reply.type(app.metrics.contentType)
    return await app.metrics.metrics()
  })
}
export default routes

/** Undefined while the count fails: the other metrics tell what is wrong then. */
function kept<T> (count: () => Promise<T>): () => Promise<T | undefined> {
  let since = -Infinity
  let latest: Promise<T | undefined> | undefined
  return () => {
    if (!latest || performance.now() - since > KEEP_MS) {
      since = performance.now()
      latest = count().catch(() => undefined)
    }
    return latest
  }
}
