import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import descriptorBody, { descriptorsContent, descriptorText } from '../../../plugins/descriptor-body.js'
import { Application } from '../../../schemas/application.js'
import { json, problems, ref } from '../../../schemas/openapi.js'
import { readDescriptors } from '../../../descriptor/read.js'

const ApplicationRef = Type.Object({ app: Type.String({ description: 'app_name.app_ns', examples: ['demo.default'] }) })

/** Applications as resources. */
const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(descriptorBody)

  app.post('/applications', {
    schema: {
      operationId: 'createApplication',
      summary: 'Deploy the services of an application',
      description:
        'All of them or none. Durable when it answers; the placement follows by itself. Live jobs of the same names ' +
          'are updated in place; services that are not described stay as they are.',
      tags: ['applications'],
      body: descriptorsContent,
      response: {
        200: json('The application, which had services before', ref(Application)),
        201: {
          ...json('A new application', ref(Application)),
          headers: { location: { type: 'string', description: 'Path of the application' } }
        },
        ...problems(
          'descriptor_missing',
          'descriptor_unreadable',
          'descriptor_invalid',
          'address_taken',
          'conflict',
          'body_too_large',
          'media_type_unsupported',
          'addresses_exhausted'
        )
      }
    },
    // The reader of descriptors checks the body: it knows lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async (request, reply) => {
    const { application, isNew } = await app.jobLifecycle.applications.deploy(
      readDescriptors(await descriptorText(request)),
      'user'
    )
    if (isNew) reply.code(201).header('location', `/api/v1/applications/${application.name}`)
    return application
  })

  app.get('/applications/:app', {
    schema: {
      operationId: 'getApplication',
      summary: 'Get an application',
      description: 'With the status of each of its services.',
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
      response: {
        200: json('All are UNDEPLOYED: no cluster had anything of them', ref(Application)),
        202: json(
          'Clusters are told to remove them; once all have confirmed, there is no such application',
          ref(Application)
        ),
        ...problems('application_ref_malformed', 'application_not_found', 'conflict')
      }
    }
  }, async ({ params }, reply) => {
    const application = await app.jobLifecycle.applications.undeploy(params.app, 'user')
    reply.code(application.status === 'UNDEPLOYED' ? 200 : 202)
    return application
  })
}
export default routes
