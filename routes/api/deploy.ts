import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import descriptorBody, { deployErrors, descriptorsContent, descriptorText } from '../../plugins/descriptor-body.js'
import { json, textErrors } from '../../schemas/openapi.js'
import { Warnings } from '../../schemas/errors.js'
import { HexId } from '../../schemas/primitives.js'
import { Status } from '../../schemas/status.js'
import { readServices, toDescriptor } from '../../descriptor/read.js'

const Deployed = Type.Object({
  job_id: HexId,
  job_name: Type.String({ examples: ['demo.default.service1.test'] }),
  status: Status,
  warnings: Type.Optional(Warnings)
})

const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(descriptorBody)
  // Any other content type, such as a form without a file, counts as "no file": 400 (contract section 1), not 415.
  app.removeContentTypeParser('*')
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null))

  app.post('/deploy', {
    schema: {
      operationId: 'deployService',
      summary: 'Deploy one or several services',
      description:
        'Takes the deployment descriptor of one service, or of several, which are deployed all or none. The answer ' +
          'comes when the jobs are durable; placement follows in the background. Without an answer, some may be ' +
          'deployed: sending the same again deploys the rest. A live job of the same name is updated in place. A ' +
          'repeated descriptor changes nothing.',
      tags: ['edgeio users'],
      body: descriptorsContent,
      response: {
        200: json(
          'The job; for several services a list of jobs, in the order of the file',
          Type.Union([Deployed, Type.Array(Deployed)])
        ),
        ...textErrors(...deployErrors)
      }
    },
    // The reader of descriptors checks the body: it knows lines and columns.
    validatorCompiler: () => value => ({ value })
  }, async request => {
    const services = readServices(await descriptorText(request))
    const deployed = await app.jobLifecycle.jobs.deploy(services.map(toDescriptor), request.requester)
    const answers = deployed.map(({ job }, index) => {
      const { warnings } = services[index]!
      const answer = { job_id: job.id, job_name: job.job_name, status: job.status }
      // The contract's answer has no such field.
      return warnings.length > 0 ? { ...answer, warnings } : answer
    })
    return answers.length === 1 ? answers[0]! : answers
  })
}
export default routes
