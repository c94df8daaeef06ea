import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import descriptorBody, { descriptorsContent, descriptorText } from '../../plugins/descriptor-body.js'
import { json, textErrors } from '../../schemas/openapi.js'
import { HexId } from '../../schemas/primitives.js'
import { Status } from '../../schemas/status.js'
import { readDescriptors } from '../../descriptor/read.js'

const Deployed = Type.Object({
  job_id: HexId,
  job_name: Type.String({ examples: ['demo.default.service1.test'] }),
  status: Status
})

const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(descriptorBody)
  // A form without a file is "no file" to this route (contract section 1), not a media type it does not know.
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null))

  app.post('/deploy', {
    schema: {
      operationId: 'deployService',
      summary: 'Deploy a service, or several',
      description:
        'Takes a deployment descriptor, or a file of several; of these, all are deployed or none. The answer comes ' +
          'when the job is durable; the placement follows by itself. A live job of the same name is updated in ' +
            'place; the same descriptor again changes nothing.',
      tags: ['edgeio users'],
      body: descriptorsContent,
      response: {
        200: json(
          'The job; of several services a list of their jobs, in the order of the file',
          Type.Union([Deployed, Type.Array(Deployed)])
        ),
        ...textErrors(
          'descriptor_missing',
          'descriptor_unreadable',
          'descriptor_invalid',
          'address_taken',
          'conflict',
          'body_too_large',
          'addresses_exhausted'
        )
      }
    },
    // The reader of descriptors checks the body: it knows lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async request => {
    const deployed = await app.jobLifecycle.jobs.deploy(readDescriptors(await descriptorText(request)), 'user')
    const answers = deployed.map(({ job }) => ({ job_id: job.id, job_name: job.job_name, status: job.status }))
    return answers.length === 1 ? answers[0]! : answers
  })
}
export default routes
