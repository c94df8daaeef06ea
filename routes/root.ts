import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { text, textErrors } from '../schemas/openapi.js'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: {
      operationId: 'hello',
      summary: 'Say hello',
      tags: ['server'],
      response: { 200: text('Where to go from here', 'EdgeIO System Manager') }
    }
  }, async (_request, reply) => {
    reply.type('text/plain; charset=utf-8')
    return 'EdgeIO System Manager: the API is described at /docs\n'
  })

  app.get('/status', {
    schema: {
      operationId: 'getStatus',
      summary: 'Tell whether the server is ready',
      description: 'Answers `ok` when requests can be served, which takes the database.',
      tags: ['server'],
      response: { 200: text('Ready', 'ok'), ...textErrors() }
    }
  }, async (_request, reply) => {
    await app.store.check()
    reply.type('text/plain; charset=utf-8')
    return 'ok'
  })
}
export default routes
