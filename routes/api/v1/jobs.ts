import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import descriptorBody, {
  deployErrors,
  descriptorContent,
  descriptorErrors,
  descriptorsContent,
  descriptorText
} from '../../../plugins/descriptor-body.js'
import { ClusterPlace } from '../../../schemas/cluster.js'
import { DeployedJob, Job } from '../../../schemas/job.js'
import { JobEvent } from '../../../schemas/job-event.js'
import { json, Limit, problems, ref, Undeployment } from '../../../schemas/openapi.js'
import { Plan } from '../../../schemas/plan.js'
import { HexId, Nullable } from '../../../schemas/primitives.js'
import { Status, STATUSES } from '../../../schemas/status.js'
import { readService, readServices, toDescriptor } from '../../../descriptor/read.js'

const JobRef = Type.Object({
  job: Type.String({ description: 'Job id or job name', examples: ['demo.default.service1.test'] })
})

/** Jobs as resources. */
const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(descriptorBody)

  app.get('/jobs', {
    schema: {
      operationId: 'listJobs',
      summary: 'List jobs',
      tags: ['jobs'],
      querystring: Type.Object({
        status: Type.Optional(
          Type.Array(Status, {
            minItems: 1,
            maxItems: STATUSES.length,
            description: 'Any of these, as status=FAILED&status=DEAD or status=FAILED,DEAD'
          })
        ),
        undeployed: Type.Optional(
          Type.Boolean({ default: false, description: 'true lists undeployed jobs, too, as does status=UNDEPLOYED' })
        ),
        cluster_id: Type.Optional(
          Type.String({ ...ClusterPlace, description: 'Id, name or location of a cluster with instances' })
        ),
        job_name: Type.Optional(Type.String()),
        app_name: Type.Optional(Type.String()),
        app_ns: Type.Optional(Type.String()),
        after: Type.Optional(Type.String({ ...HexId, description: '`next` of the previous page' })),
        limit: Type.Optional(Limit)
      }, { additionalProperties: false }),
      response: {
        200: json(
          'A page, in order of creation',
          Type.Object({
            items: Type.Array(ref(Job)),
            next: Nullable(Type.String({ description: 'Cursor of the next page, null on the last' }))
          })
        ),
        ...problems('bad_request', 'cluster_not_found', 'cluster_location_ambiguous')
      }
    }
  }, async ({ query: { limit = Limit.default, after, cluster_id: place, ...given } }, reply) => {
    const filters = {
      ...given,
      undeployed: given.undeployed ?? given.status !== undefined,
      ...(place !== undefined && { cluster_id: await app.clusterRegistry.idOf(place) })
    }
    return reply.sendItems({
      read: page => app.jobLifecycle.jobs.list({ ...filters, ...page }),
      toText: job => JSON.stringify(job),
      page: { limit, ...(after !== undefined && { after }) }
    })
  })

  app.post('/jobs', {
    schema: {
      operationId: 'createJob',
      summary: 'Deploy a service',
      description:
        'The job is durable when the answer arrives; placement follows in the background. A live job of the same ' +
          'name is updated in place. One that is undeployed or being removed is deployed again under its id, with ' +
          'its history. A repeated descriptor changes nothing.',
      tags: ['jobs'],
      body: descriptorContent,
      response: {
        200: json('The job of this name, updated or unchanged', ref(DeployedJob)),
        201: {
          ...json('A new job, or one that is deployed again', ref(DeployedJob)),
          headers: { location: { type: 'string', description: 'Path of the job' } }
        },
        ...problems(...deployErrors)
      }
    },
    // readService checks the body: it reports lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async (request, reply) => {
    const { descriptor, warnings } = readService(await descriptorText(request))
    const [deployed] = await app.jobLifecycle.jobs.deploy([descriptor], request.requester)
    const { job, outcome } = deployed!
    if (outcome === 'created') reply.code(201).header('location', `/api/v1/jobs/${job.id}`)
    return { ...job, warnings }
  })

  app.post('/jobs/plan', {
    schema: {
      operationId: 'planJobs',
      summary: 'Preview a deploy',
      description:
        'Takes the descriptors of a deploy, of one service or several, and writes nothing. The placement is that of ' +
          'the embedded scheduler with the current figures.',
      tags: ['jobs'],
      body: descriptorsContent,
      response: {
        200: json('What the deploy would do to each service', ref(Plan)),
        ...problems(...descriptorErrors)
      }
    },
    // readServices checks the body: it reports lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async request => {
    const services = readServices(await descriptorText(request))
    const plan = await app.jobLifecycle.planner.plan(services.map(toDescriptor), 'user')
    return { ...plan, warnings: services.flatMap(({ warnings }) => warnings) }
  })

  app.get('/jobs/:job', {
    schema: {
      operationId: 'getJob',
      summary: 'Get a job',
      description: 'Includes its instances and the explanation of their placement.',
      tags: ['jobs'],
      params: JobRef,
      response: {
        200: json('The job', ref(Job)),
        ...problems('job_ref_malformed', 'job_not_found', 'job_name_ambiguous')
      }
    }
  }, async ({ params }) => app.jobLifecycle.jobs.findWhole(params.job))

  app.delete('/jobs/:job', {
    schema: {
      operationId: 'deleteJob',
      summary: 'Undeploy a job',
      tags: ['jobs'],
      params: JobRef,
      querystring: Undeployment,
      response: {
        200: json('The job is UNDEPLOYED: no cluster had an instance, or it was forced', ref(Job)),
        202: json('Its clusters get the command to remove it. It is UNDEPLOYED once they have confirmed', ref(Job)),
        ...problems('bad_request', 'job_ref_malformed', 'job_not_found', 'job_name_ambiguous', 'conflict')
      }
    }
  }, async ({ params, query, requester }, reply) => {
    const job = await app.jobLifecycle.jobs.undeploy(params.job, requester, { force: query.force ?? false })
    reply.code(job.status === 'UNDEPLOYED' ? 200 : 202)
    return job
  })

  app.get('/jobs/:job/events', {
    schema: {
      operationId: 'listJobEvents',
      summary: 'List the events of a job',
      tags: ['jobs'],
      params: JobRef,
      querystring: Type.Object({
        after: Type.Optional(
          Type.Integer({ minimum: 0, description: '`next` of the previous page, or the id of the last event seen' })
        ),
        limit: Type.Optional(Limit)
      }, { additionalProperties: false }),
      response: {
        200: json(
          'A page, oldest first',
          Type.Object({
            items: Type.Array(ref(JobEvent)),
            next: Nullable(Type.Integer({ description: 'Cursor of the next page, null on the last' }))
          })
        ),
        ...problems('bad_request', 'job_ref_malformed', 'job_not_found', 'job_name_ambiguous')
      }
    }
  }, async ({ params, query: { limit = Limit.default, ...page } }) => {
    const found = await app.jobLifecycle.jobs.history(params.job, { ...page, limit: limit + 1 })
    const items = found.slice(0, limit)
    return { items, next: found.length > limit ? items.at(-1)?.id ?? null : null }
  })
}
export default routes
