import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import pageHeaders from '../plugins/page-headers.js'
import { text } from '../schemas/openapi.js'

const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(pageHeaders)

  app.get('/', {
    schema: {
      operationId: 'hello',
      summary: 'Greet the client',
      tags: ['server'],
      response: { 200: text('Where to go from here', 'EdgeIO System Manager') }
    }
  }, async () => 'EdgeIO System Manager: the API is described at /docs\n')
}
export default routes
