import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Requester } from '../../plugins/requester.js'
import { wantsJson } from '../../plugins/errors.js'
import { ApiError } from '../../schemas/errors.js'
import { contractInstance } from '../../schemas/job-document.js'
import type { Job } from '../../schemas/job.js'
import { json, text, textErrors } from '../../schemas/openapi.js'
import { HexId, Nullable, isIpv4 } from '../../schemas/primitives.js'
import { Status } from '../../schemas/status.js'

const JobRef = Type.Object({
  job: Type.String({ description: 'Job id, or job name, also with _ for .', examples: ['demo.default.service1.test'] })
})

const StatusAnswer = Type.Object({
  job_id: HexId,
  job_name: Type.String(),
  status: Status,
  status_reason: Nullable(Type.String())
})

const Documents = (description: string) => Type.Array(Type.Record(Type.String(), Type.Unknown()), { description })

const InstancesAnswer = Type.Object({
  instance_list: Documents('Instances with their addresses'),
  service_ip_list: Documents('Service addresses'),
  job_name: Type.String()
}, { description: 'What clusters need to route to a service. An unknown service has no instances yet' })

/** Jobs in the EdgeIO contract (sections 1 and 2). */
const routes: FastifyPluginAsyncTypebox = async app => {
  const undeploy = {
    summary: 'Undeploy a service',
    description:
      'The request is durable when the answer arrives. The job is UNDEPLOYED, and its addresses are free, once its ' +
        'clusters have confirmed.',
    tags: ['edgeio users'],
    params: JobRef,
    response: {
      200: text('The job is being removed', 'ok\n'),
      ...textErrors('job_ref_malformed', 'job_not_found', 'job_name_ambiguous', 'conflict')
    }
  }
  const undeployHandler = async (
    { params, requester }: { params: { job: string }, requester: Requester }
  ) => {
    await app.jobLifecycle.jobs.undeploy(params.job, requester)
    return 'ok\n'
  }
  // HEAD is safe by definition (RFC 9110, section 9.2.1), and this GET is not.
  app.get(
    '/delete/:job',
    { exposeHeadRoute: false, config: { changes: true }, schema: { ...undeploy, operationId: 'undeployServiceByGet' } },
    undeployHandler
  )
  app.delete('/delete/:job', { schema: { ...undeploy, operationId: 'undeployService' } }, undeployHandler)

  app.get('/job/status/:job', {
    schema: {
      operationId: 'getServiceStatus',
      summary: 'Status of a job',
      description: 'The status as text, or an object if the client prefers JSON.',
      tags: ['edgeio users'],
      params: JobRef,
      response: {
        200: {
          description: 'The status',
          content: {
            'text/plain': { schema: Type.String({ examples: ['RUNNING\n'] }) },
            'application/json': { schema: StatusAnswer }
          }
        },
        ...textErrors('job_ref_malformed', 'job_not_found', 'job_name_ambiguous')
      }
    }
  }, async request => {
    if (!wantsJson(request)) return `${await app.jobLifecycle.jobs.status(request.params.job)}\n`
    const { id, job_name, status, status_reason } = await app.jobLifecycle.jobs.find(request.params.job)
    return { job_id: id, job_name, status, status_reason }
  })

  app.get('/jobs', {
    schema: {
      operationId: 'listServices',
      summary: 'All deployed jobs',
      tags: ['edgeio users'],
      // The store keeps the documents as JSON, and a string is sent as it is. Parsing and serialising them again would
      // be most of the work.
      response: {
        200: json(
          'Job documents of the contract, without undeployed jobs',
          Type.Unsafe<string>(Documents('Job documents, `_id` as {"$oid": …}'))
        ),
        ...textErrors()
      }
    }
  }, async (_request, reply) => reply.sendItems({ read: app.jobLifecycle.jobs.documents, toText: ({ text }) => text }))

  app.get('/job/:job_name/instances', {
    schema: {
      operationId: 'getInstancesByName',
      summary: 'Find the instances of a service by its name',
      tags: ['edgeio clusters'],
      params: Type.Object({
        job_name: Type.String({ description: 'Job name, also with _ for .', examples: ['demo_default_service1_test'] })
      }),
      response: { 200: json('The instances', InstancesAnswer), ...textErrors() }
    }
  }, async ({ params: { job_name } }) => instancesOf(await app.jobLifecycle.jobs.byNameForClusters(job_name), job_name))

  app.get('/job/ip/:ip/instances', {
    schema: {
      operationId: 'getInstancesByAddress',
      summary: 'Find the instances of a service by its service address or the address of one instance',
      tags: ['edgeio clusters'],
      params: Type.Object({ ip: Type.String({ description: 'Address with _ for .', examples: ['172_30_0_1'] }) }),
      response: { 200: json('The instances', InstancesAnswer), ...textErrors('address_malformed') }
    }
  }, async ({ params }) => {
    const address = params.ip.replaceAll('_', '.')
    if (!isIpv4(address)) {
      throw new ApiError('address_malformed', `${JSON.stringify(params.ip)} is not an IPv4 address`, {
        hint: 'Write it as 172.30.0.1 or 172_30_0_1'
      })
    }
    return instancesOf(await app.jobLifecycle.jobs.byAddress(address), '')
  })
}
export default routes

function instancesOf (job: Job | undefined, nameAskedFor: string) {
  return {
    instance_list: job?.instance_list.map(contractInstance) ?? [],
    service_ip_list: job?.service_ip_list ?? [],
    job_name: job?.job_name ?? nameAskedFor
  }
}
