import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Counter, Gauge } from 'prom-client'
import { keptFigure } from '../plugins/metrics.js'
import { text, textErrors } from '../schemas/openapi.js'

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

  const activeCount = keptFigure(() => app.clusterRegistry.countActive())
  const active = new Gauge({
    name: 'clusters_active',
    help: 'Clusters with a sign of life within the grace time',
    registers,
    async collect () {
      active.set(await activeCount())
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
