import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ApiError } from '../schemas/errors.js'
import { textErrors } from '../schemas/openapi.js'

/** The raw WebSocket channel of clusters (contract section 5). */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.route({
    method: 'GET',
    url: '/register',
    schema: {
      operationId: 'openChannel',
      summary: 'Open the raw WebSocket channel of a cluster',
      description: 'A WebSocket upgrade (RFC 6455). docs/channel.md describes the protocol.',
      tags: ['edgeio clusters'],
      response: {
        101: { description: 'The channel is open', content: { 'text/plain': { schema: Type.String() } } },
        ...textErrors('upgrade_required')
      }
    },
    handler (_request, reply) {
      reply.header('upgrade', 'websocket')
      throw new ApiError('upgrade_required', 'GET /register is the WebSocket channel of clusters', {
        hint: 'Connect with a WebSocket client: ws://…/register'
      })
    },
    wsHandler (socket, request) {
      app.clusterChannel.accept(socket, { address: request.ip, log: request.log })
    }
  })
}
export default routes
