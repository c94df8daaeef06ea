import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ClusterRef } from '../../schemas/cluster.js'
import { DeployResult } from '../../schemas/deploy-result.js'
import { json, text, textErrors } from '../../schemas/openapi.js'

const refErrors = ['cluster_id_malformed', 'cluster_not_found', 'cluster_location_ambiguous'] as const

/** Largest result, bytes: it names every instance of a job that runs on a cluster. */
const MAX_RESULT_BYTES = 1024 * 1024

/**
 * Messages of clusters over HTTP (contract section 2), besides heartbeats. A GET that changes something has no HEAD
 * route: HEAD is safe by definition (RFC 9110, section 9.2.1).
 */
const routes: FastifyPluginAsyncTypebox = async app => {
  const idOf = (ref: string) => app.clusterRegistry.idOf(ref, 'cluster_id_malformed')

  app.post('/result/cluster_deploy', {
    bodyLimit: MAX_RESULT_BYTES,
    schema: {
      operationId: 'sendDeployResult',
      summary: 'Where a cluster runs the instances of a job',
      tags: ['edgeio clusters'],
      body: DeployResult,
      response: {
        200: text('Accepted', 'roger that'),
        ...textErrors('bad_request', 'json_invalid', 'job_not_found', 'body_too_large', 'media_type_unsupported')
      }
    }
  }, async ({ body }) => {
    await app.jobLifecycle.reports.result(body)
    return 'roger that'
  })

  app.get('/cluster/:id/incr_node', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: {
      operationId: 'addWorkerNode',
      summary: 'Add one worker node to the count',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      response: { 200: text('Counted', 'ok'), ...textErrors(...refErrors) }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.addNodes(await idOf(params.id), 1)
    return 'ok'
  })

  app.get('/cluster/:id/decr_node', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: {
      operationId: 'removeWorkerNode',
      summary: 'Subtract one worker node from the count, never below 0',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      response: { 200: text('Counted', 'ok'), ...textErrors(...refErrors) }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.addNodes(await idOf(params.id), -1)
    return 'ok'
  })

  app.get('/cluster/:id/nodes/:count', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: {
      operationId: 'setWorkerNodes',
      summary: 'Set the number of worker nodes',
      tags: ['edgeio clusters'],
      // A string of digits: the conversion to a whole number would turn 1.5 into 1.
      params: Type.Object({
        ...ClusterRef.properties,
        count: Type.String({
          pattern: '^\\d{1,9}$',
          description: 'Total number of workers: 0 to 999999999, in digits',
          examples: ['3']
        })
      }),
      response: { 200: text('Set', 'ok'), ...textErrors('bad_request', ...refErrors) }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.setNodes(await idOf(params.id), Number(params.count))
    return 'ok'
  })

  app.get('/net/subnet', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: {
      operationId: 'takeSubnet',
      summary: 'The next subnet of 64 addresses for a worker node',
      tags: ['edgeio clusters'],
      response: {
        200: json(
          'A subnet that no other worker node has',
          Type.Object({ subnet_addr: Type.String({ examples: ['172.18.0.0'] }) })
        ),
        ...textErrors('subnet_limit', 'subnets_exhausted')
      }
    }
  }, async ({ ip }) => ({ subnet_addr: await app.subnets.take(ip) }))

  app.get('/feedback', {
    schema: {
      operationId: 'sendFeedback',
      summary: 'Does nothing; older clusters call it',
      tags: ['edgeio clusters'],
      response: { 200: text('Accepted', 'ok'), ...textErrors() }
    }
  }, async () => 'ok')
}
export default routes
