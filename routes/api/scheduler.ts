import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { wantsJson } from '../../plugins/errors.js'
import { ref, text, textErrors } from '../../schemas/openapi.js'
import { SchedulerResult } from '../../schemas/scheduler.js'
import { readAnswer } from '../../schemas/scheduler-answer.js'

/** Largest answer, bytes: it may echo the job with all its instances, and list clusters with their documents. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024

/** The Cloud Scheduler's side of the EdgeIO contract (section 4). */
const routes: FastifyPluginAsyncTypebox = async app => {
  // readAnswer parses the body, which may be JSON in a JSON string, of any content type.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    '*',
    { parseAs: 'string', bodyLimit: MAX_ANSWER_BYTES },
    (_request, body, done) => done(null, body)
  )

  app.get('/test/scheduler', {
    schema: {
      operationId: 'testScheduler',
      summary: 'Whether the scheduler answers',
      tags: ['server'],
      response: {
        200: {
          description: 'It answers',
          content: {
            'text/plain': { schema: Type.String({ examples: ['the embedded scheduler answers\n'] }) },
            'application/json': { schema: Type.Object({ answers: Type.Literal(true), message: Type.String() }) }
          }
        },
        ...textErrors('scheduler_unavailable')
      }
    }
  }, async request => {
    const message = await app.schedulerClient.test()
    if (wantsJson(request)) return { answers: true as const, message }
    return `${message}\n`
  })

  const operationIds = { deploy: 'sendSchedulerResult', replicate: 'sendSchedulerReplicateResult' } as const
  for (const kind of ['deploy', 'replicate'] as const) {
    app.post(`/result/${kind}`, {
      schema: {
        operationId: operationIds[kind],
        summary: `Answer of the Cloud Scheduler to /api/calculate/${kind}`,
        description:
          'JSON, or a JSON string that contains the JSON. All unplaced instances of the job go to the cluster it ' +
            'names. An answer that comes too late changes nothing.',
        tags: ['edgeio clusters'],
        body: { content: { 'application/json': { schema: Type.Union([ref(SchedulerResult), Type.String()]) } } },
        response: {
          200: text('Accepted', 'ok'),
          ...textErrors('bad_request', 'json_invalid', 'job_not_found', 'cluster_not_found', 'body_too_large')
        }
      },
      // readAnswer checks the body.
      validatorCompiler: () => value => ({ value })
    }, async ({ body }) => {
      await app.jobLifecycle.schedulerCallbacks.take(readAnswer(String(body ?? '')))
      return 'ok'
    })
  }
}
export default routes
