import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { MAX_REPLICAS } from '../../../schemas/descriptor.js'
import { Job } from '../../../schemas/job.js'
import { json, problems, ref } from '../../../schemas/openapi.js'
import { Nullable, OneOf } from '../../../schemas/primitives.js'

const JobRef = Type.Object({
  job: Type.String({ description: 'Job id or job name', examples: ['demo.default.service1.test'] })
})

/** Errors of routes that change a live job. */
const ofJob = ['job_ref_malformed', 'job_not_found', 'job_name_ambiguous', 'job_not_running', 'conflict'] as const

/** Operations on a deployed job. In a scope of their own, since a JSON body is no descriptor here. */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.patch('/jobs/:job', {
    schema: {
      operationId: 'scaleJob',
      summary: 'Scale a job',
      description:
        'Additional instances are placed in the background. When scaling down, instances that do not run go first, ' +
        'then those with the highest numbers. 0 keeps the job without instances.',
      tags: ['jobs'],
      params: JobRef,
      body: Type.Object({
        replicas: Type.Integer({ minimum: 0, maximum: MAX_REPLICAS, description: 'Total number of instances' })
      }, { additionalProperties: false }),
      response: {
        200: json('The job', ref(Job)),
        ...problems(
          'bad_request',
          'json_invalid',
          'media_type_unsupported',
          ...ofJob,
          'limit_exceeded',
          'addresses_exhausted'
        )
      }
    }
  }, async ({ params, body, requester }) => app.jobLifecycle.jobs.scale(params.job, body.replicas, requester))

  app.post(
    '/jobs/:job/move',
    {
      schema: {
        operationId: 'moveJob',
        summary: 'Move instances to other clusters',
        description:
          'start-first removes an instance from its source once it runs at its target; if it does not start there, ' +
          'it stays, and the events show why. stop-first removes it first. Instances at the target already stay.',
        tags: ['jobs'],
        params: JobRef,
        body: Type.Object({
          to: Type.String({ minLength: 1, maxLength: 255, description: 'Location, name or id of a cluster' }),
          from: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'Location, name or id of a cluster; by default, wherever the instances are'
            })
          ),
          instance_number: Type.Optional(
            Type.Integer({ minimum: 0, description: 'The instance to move; by default, all instances at `from`' })
          ),
          order: Type.Optional(OneOf(['start-first', 'stop-first'] as const, { default: 'start-first' }))
        }, { additionalProperties: false }),
        response: {
          200: json('The job; the move has begun', ref(Job)),
          ...problems(
            'bad_request',
            'json_invalid',
            'media_type_unsupported',
            ...ofJob,
            'cluster_not_found',
            'instance_not_found'
          )
        }
      }
    },
    async ({ params, requester, body: { instance_number: instanceNumber, ...request } }) =>
      app.jobLifecycle.jobs.move(
        params.job,
        { ...request, ...(instanceNumber !== undefined && { instanceNumber }) },
        requester
      )
  )

  app.post(
    '/jobs/:job/move-node',
    {
      schema: {
        operationId: 'moveJobBetweenNodes',
        summary: 'Move the instances on a cluster to another of its worker nodes',
        tags: ['jobs'],
        params: JobRef,
        body: Type.Object({
          cluster: Type.String({ minLength: 1, maxLength: 255, description: 'Location, name or id of the cluster' }),
          from_node: Type.String({ minLength: 1, maxLength: 255 }),
          to_node: Type.String({ minLength: 1, maxLength: 255 })
        }, { additionalProperties: false }),
        response: {
          200: json('The job; the cluster gets the command', ref(Job)),
          ...problems(
            'bad_request',
            'json_invalid',
            'media_type_unsupported',
            ...ofJob,
            'cluster_not_found',
            'instance_not_found',
            'node_not_found'
          )
        }
      }
    },
    async ({ params, requester, body: { cluster, from_node: fromNode, to_node: toNode } }) =>
      app.jobLifecycle.jobs.moveBetweenNodes(params.job, { cluster, fromNode, toNode }, requester)
  )

  app.post('/jobs/:job/rollback', {
    schema: {
      operationId: 'rollBackJob',
      summary: 'Roll a job back to an earlier descriptor',
      description: 'An update like any other: the job gets a new generation. Its `revisions` list the earlier ones.',
      tags: ['jobs'],
      params: JobRef,
      body: Type.Optional(Nullable(Type.Object({
        generation: Type.Optional(
          Type.Integer({ minimum: 1, description: 'By default, the previous one' })
        )
      }, { additionalProperties: false }))),
      response: {
        200: json('The job; the rollback has begun', ref(Job)),
        ...problems(
          'bad_request',
          'json_invalid',
          'media_type_unsupported',
          ...ofJob,
          'revision_not_found',
          'address_taken'
        )
      }
    }
  }, async ({ params, body, requester }) =>
    app.jobLifecycle.jobs.rollBack(params.job, body?.generation, requester))
}
export default routes
