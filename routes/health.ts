import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Readiness } from '../schemas/health.js'
import { json, problems, ref, text, textErrors } from '../schemas/openapi.js'

/** Liveness and readiness, for supervisors and load balancers, beside GET /status of the contract (section 1). */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/status', {
    schema: {
      operationId: 'getStatus',
      summary: 'Whether the server can serve requests',
      description: 'Answers `ok` when the server can serve requests, which needs the database.',
      tags: ['server'],
      response: { 200: text('Ready', 'ok'), ...textErrors() }
    }
  }, async () => {
    await app.store.check()
    return 'ok'
  })

  app.get('/healthz', {
    schema: {
      operationId: 'getLiveness',
      summary: 'Whether the server is alive',
      description:
        'Answers `ok` while no background loop hangs. It depends on no other system. On 503, restart the server.',
      tags: ['server'],
      response: {
        ...textErrors(),
        200: text('Alive', 'ok'),
        503: text('A loop hangs', 'placement has been in one turn for 312 s')
      }
    }
  }, async (_request, reply) => {
    const stuck = app.health.stuck()
    if (stuck === undefined) return 'ok'
    reply.code(503)
    return stuck
  })

  app.get('/readyz', {
    schema: {
      operationId: 'getReadiness',
      summary: 'Whether the server is ready',
      description:
        'Checks the database, the background loops, the data folder and the leader elections. On 503, send requests ' +
        'to another System Manager.',
      tags: ['server'],
      response: {
        ...problems(),
        200: json('Every check is ok', ref(Readiness)),
        503: json('A check failed', ref(Readiness))
      }
    }
  }, async (_request, reply) => {
    const readiness = await app.health.readiness()
    if (readiness.status === 'not_ready') reply.code(503)
    return readiness
  })
}
export default routes
