import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import descriptorBody, { deployErrors, descriptorsContent, descriptorText } from '../../../plugins/descriptor-body.js'
import { Application, DeployedApplication } from '../../../schemas/application.js'
import { json, problems, ref, Undeployment } from '../../../schemas/openapi.js'
import { readServices, toDescriptor } from '../../../descriptor/read.js'

const ApplicationRef = Type.Object({ app: Type.String({ description: 'app_name.app_ns', examples: ['demo.default'] }) })

/** Applications as resources. */
const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(descriptorBody)

  app.post('/applications', {
    schema: {
      operationId: 'createApplication',
      summary: 'Deploy the services of an application',
      description:
        'Deploys all of them or none. They are durable when the answer arrives; placement follows in the background. ' +
          'Without an answer, some may be deployed: sending the same again deploys the rest. Live jobs of the same ' +
          'names are updated in place. Other services of the application stay as they are.',
      tags: ['applications'],
      body: descriptorsContent,
      response: {
        200: json('The application, which already had services', ref(DeployedApplication)),
        201: {
          ...json('A new application', ref(DeployedApplication)),
          headers: { location: { type: 'string', description: 'Path of the application' } }
        },
        ...problems(...deployErrors)
      }
    },
    // readServices checks the body: it reports lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async (request, reply) => {
    const services = readServices(await descriptorText(request))
    const { application, isNew } = await app.jobLifecycle.applications.deploy(
      services.map(toDescriptor),
      request.requester
    )
    if (isNew) reply.code(201).header('location', `/api/v1/applications/${application.name}`)
    return { ...application, warnings: services.flatMap(({ warnings }) => warnings) }
  })

  app.get('/applications/:app', {
    schema: {
      operationId: 'getApplication',
      summary: 'Get an application',
      description: 'Includes the status of each of its services.',
      tags: ['applications'],
      params: ApplicationRef,
      response: {
        200: json('The application', ref(Application)),
        ...problems('application_ref_malformed', 'application_not_found')
      }
    }
  }, async ({ params }) => app.jobLifecycle.applications.get(params.app))

  app.delete('/applications/:app', {
    schema: {
      operationId: 'deleteApplication',
      summary: 'Undeploy all services of an application',
      tags: ['applications'],
      params: ApplicationRef,
      querystring: Undeployment,
      response: {
        200: json('All services are UNDEPLOYED: no cluster had an instance, or it was forced', ref(Application)),
        202: json(
          'The clusters get the command to remove them. The application is gone once all have confirmed',
          ref(Application)
        ),
        ...problems('bad_request', 'application_ref_malformed', 'application_not_found', 'conflict')
      }
    }
  }, async ({ params, query, requester }, reply) => {
    const options = { force: query.force ?? false }
    const application = await app.jobLifecycle.applications.undeploy(params.app, requester, options)
    reply.code(application.status === 'UNDEPLOYED' ? 200 : 202)
    return application
  })
}
export default routes
