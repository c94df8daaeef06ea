import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Heartbeat } from '../../schemas/cluster.js'
import { DeployResult } from '../../schemas/job.js'
import { json, text, textErrors } from '../../schemas/openapi.js'

const ClusterRef = Type.Object({
  id: Type.String({ description: 'Cluster id, as sc2 told it', examples: ['65a1b2c3d4e5f60718293a4b'] })
})

/**
 * What clusters tell by HTTP (contract section 2). GETs that change something have no HEAD, which is safe by definition
 * (RFC 9110, section 9.2.1).
 */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.post('/information/:id', {
    schema: {
      operationId: 'sendHeartbeat',
      summary: 'Heartbeat of a cluster',
      description:
        'Figures and the status of its jobs, every 15 s. A job entry that cannot be understood is skipped and shown ' +
        'as a warning on the cluster; the heartbeat still counts.',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      body: Heartbeat,
      response: {
        200: text('Taken', 'ok'),
        ...textErrors(
          'bad_request',
          'json_invalid',
          'cluster_id_malformed',
          'cluster_not_found',
          'media_type_unsupported'
        )
      }
    }
  }, async ({ params, body, log }) => {
    const { warnings } = await app.jobLifecycle.reports.heartbeat(params.id, body)
    if (warnings.length > 0) log.warn({ cluster: params.id, warnings }, 'entries of a heartbeat were skipped')
    return 'ok'
  })

  app.post('/result/cluster_deploy', {
    schema: {
      operationId: 'sendDeployResult',
      summary: 'Where a cluster runs the instances of a job',
      tags: ['edgeio clusters'],
      body: DeployResult,
      response: {
        200: text('Taken', 'roger that'),
        ...textErrors('bad_request', 'json_invalid', 'job_not_found', 'media_type_unsupported')
      }
    }
  }, async ({ body }) => {
    await app.jobLifecycle.reports.result(body)
    return 'roger that'
  })

  app.get('/cluster/:id/incr_node', {
    exposeHeadRoute: false,
    schema: {
      operationId: 'addWorkerNode',
      summary: 'Count one worker node more',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      response: { 200: text('Counted', 'ok'), ...textErrors('cluster_id_malformed', 'cluster_not_found') }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.addNodes(params.id, 1)
    return 'ok'
  })

  app.get('/cluster/:id/decr_node', {
    exposeHeadRoute: false,
    schema: {
      operationId: 'removeWorkerNode',
      summary: 'Count one worker node less, never below 0',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      response: { 200: text('Counted', 'ok'), ...textErrors('cluster_id_malformed', 'cluster_not_found') }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.addNodes(params.id, -1)
    return 'ok'
  })

  app.get('/cluster/:id/nodes/:count', {
    exposeHeadRoute: false,
    schema: {
      operationId: 'setWorkerNodes',
      summary: 'Set the number of worker nodes',
      tags: ['edgeio clusters'],
      // Digits, since the conversion of a number would take 1.5 for 1.
      params: Type.Object({
        ...ClusterRef.properties,
        count: Type.String({
          pattern: '^\\d{1,9}$',
          description: 'Workers in all: 0 to 999999999, in digits',
          examples: ['3']
        })
      }),
      response: { 200: text('Set', 'ok'), ...textErrors('bad_request', 'cluster_id_malformed', 'cluster_not_found') }
    }
  }, async ({ params }) => {
    await app.clusterRegistry.setNodes(params.id, Number(params.count))
    return 'ok'
  })

  app.get('/net/subnet', {
    exposeHeadRoute: false,
    schema: {
      operationId: 'takeSubnet',
      summary: 'The next subnet of 64 addresses for a worker node',
      tags: ['edgeio clusters'],
      response: {
        200: json(
          'A subnet that nobody else has',
          Type.Object({ subnet_addr: Type.String({ examples: ['172.18.0.0'] }) })
        ),
        ...textErrors('subnets_exhausted')
      }
    }
  }, async () => ({ subnet_addr: await app.clusterRegistry.takeSubnet() }))

  app.get('/feedback', {
    schema: {
      operationId: 'sendFeedback',
      summary: 'Does nothing, for old clusters',
      tags: ['edgeio clusters'],
      response: { 200: text('Taken', 'ok'), ...textErrors() }
    }
  }, async () => 'ok')
}
export default routes
