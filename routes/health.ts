import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Readiness } from '../schemas/health.js'
import { json, problems, ref, text, textErrors } from '../schemas/openapi.js'

/** For those who restart servers and send them traffic. The contract's own GET /status stays beside it. */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/status', {
    schema: {
      operationId: 'getStatus',
      summary: 'Whether requests can be served',
      description: 'Answers `ok` when requests can be served, which takes the database.',
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
      summary: 'Whether the server lives',
      description:
        'Answers `ok` while every background loop lives; asks nobody. When it does not, restart the ' +
        'server.',
      tags: ['server'],
      response: {
        ...textErrors(),
        200: text('It lives', 'ok'),
        503: text('A loop hangs: restart the server', 'placement hangs')
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
      summary: 'Whether the server can do its work',
      description: 'Asks the store, the loops, the data folder and the leader elections. 503: send requests elsewhere.',
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
