import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { text, textErrors } from '../schemas/openapi.js'

const EXAMPLE = `# HELP edgeio_clusters_active Clusters with a sign of life within the grace time
# TYPE edgeio_clusters_active gauge
edgeio_clusters_active 2
`

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/metrics', {
    schema: {
      operationId: 'getMetrics',
      summary: 'Metrics in the text format of Prometheus',
      tags: ['server'],
      response: { 200: text('The metrics', EXAMPLE), ...textErrors() }
    }
  }, async (_request, reply) => {
    reply.type(app.metrics.contentType)
    return await app.metrics.metrics()
  })
}
export default routes
