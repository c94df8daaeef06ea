import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Requester } from '../../plugins/requester.js'
import type { Static } from '@sinclair/typebox'
import { MAX_REPLICAS } from '../../schemas/descriptor.js'
import { text, textErrors } from '../../schemas/openapi.js'
import getBody, { askedFor } from '../../plugins/get-body.js'
import { readJson } from '../../plugins/json-body.js'

const JobId = Type.String({ minLength: 1, description: 'Job id or job name', examples: ['65a1b2c3d4e5f60718293a4b'] })
const Place = (of: string) =>
  Type.String({ minLength: 1, maxLength: 255, description: `${of}: location, name or id of a cluster` })
const Node = (of: string) => Type.String({ minLength: 1, maxLength: 255, description: of })

/** 0 to 1000, {@link MAX_REPLICAS}, in digits. */
const REPLICAS = '^(1000|[1-9]?\\d{1,2})$'
const Replicas = Type.Union([
  Type.Integer({ minimum: 0, maximum: MAX_REPLICAS }),
  Type.String({ pattern: REPLICAS })
], { description: 'Total number of instances: 0 to 1000, as a number or in digits', examples: [2] })

const ClusterMove = Type.Object({
  job_id: JobId,
  from_location: Place('Current place of the instances'),
  to_location: Place('Target')
}, { additionalProperties: true })
const NodeMove = Type.Object({
  job_id: JobId,
  cluster: Place('Cluster of the instances'),
  from_node: Node('Worker node to move from'),
  to_node: Node('Worker node to move to')
}, { additionalProperties: true })
const Replication = Type.Object({ job_id: JobId, replicas: Replicas }, { additionalProperties: true })
const ReplicationRef = Type.Object({
  job: JobId,
  replicas: Type.String({
    pattern: REPLICAS,
    description: `Total number of instances: 0 to ${MAX_REPLICAS}, in digits`,
    examples: ['2']
  })
})

/** Scaling and moving in the EdgeIO contract (section 1): by POST, or by GET with the same body. */
const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(getBody)
  // The default content type of `curl -d`; the body is JSON all the same.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, readJson)
  const ofJob = ['job_ref_malformed', 'job_not_found', 'job_name_ambiguous', 'job_not_running', 'conflict'] as const
  const bodyErrors = ['bad_request', 'json_invalid', 'media_type_unsupported'] as const

  async function moveBetweenClusters (
    { job_id: ref, from_location: from, to_location: to }: Static<typeof ClusterMove>,
    by: Requester
  ): Promise<string> {
    await app.jobLifecycle.jobs.move(ref, { from, to }, by)
    return 'ok\n'
  }
  const clusterMove = {
    summary: 'Move a service to other clusters',
    description:
      'The instances on clusters at from_location start at to_location. Each is removed from its source once it runs ' +
        'there. Instances that are there already stay.',
    tags: ['edgeio users'],
    response: {
      200: text('The move has begun', 'ok\n'),
      ...textErrors(...bodyErrors, ...ofJob, 'cluster_not_found', 'instance_not_found')
    }
  }
  app.post(
    '/clusters/move',
    { schema: { ...clusterMove, operationId: 'moveServiceToCluster', body: ClusterMove } },
    async ({ body, requester }) => moveBetweenClusters(body, requester)
  )
  app.get('/clusters/move', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: { ...clusterMove, operationId: 'moveServiceToClusterByGet', querystring: Type.Partial(ClusterMove) }
  }, async request => moveBetweenClusters(askedFor(request, ClusterMove), request.requester))

  async function moveBetweenNodes (
    { job_id: ref, cluster, from_node: fromNode, to_node: toNode }: Static<typeof NodeMove>,
    by: Requester
  ): Promise<string> {
    await app.jobLifecycle.jobs.moveBetweenNodes(ref, { cluster, fromNode, toNode }, by)
    return 'Ok\n'
  }
  const nodeMove = {
    summary: 'Move a service between worker nodes of a cluster',
    tags: ['edgeio users'],
    response: {
      200: text('The cluster gets the command', 'Ok\n'),
      ...textErrors(...bodyErrors, ...ofJob, 'cluster_not_found', 'instance_not_found', 'node_not_found')
    }
  }
  app.post(
    '/nodes/move',
    { schema: { ...nodeMove, operationId: 'moveServiceToNode', body: NodeMove } },
    async ({ body, requester }) => moveBetweenNodes(body, requester)
  )
  app.get('/nodes/move', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: { ...nodeMove, operationId: 'moveServiceToNodeByGet', querystring: Type.Partial(NodeMove) }
  }, async request => moveBetweenNodes(askedFor(request, NodeMove), request.requester))

  async function replicate ({ job_id: ref, replicas }: Static<typeof Replication>, by: Requester): Promise<string> {
    await app.jobLifecycle.jobs.scale(ref, Number(replicas), by)
    return 'ok'
  }
  const replication = {
    summary: 'Scale a service',
    description:
      'replicas is the total number of instances. Additional ones are placed in the background. When scaling down, ' +
        'instances that do not run go first, then those with the highest numbers.',
    tags: ['edgeio users'],
    response: {
      200: text('Scaling has begun', 'ok'),
      ...textErrors(...bodyErrors, ...ofJob, 'limit_exceeded', 'addresses_exhausted')
    }
  }
  for (
    const [path, operation] of [['/replicate', 'replicateService'], ['/replicate_up', 'replicateServiceUp']] as const
  ) {
    app.post(
      path,
      { schema: { ...replication, operationId: operation, body: Replication } },
      async ({ body, requester }) => replicate(body, requester)
    )
    app.get(path, {
      exposeHeadRoute: false,
      config: { changes: true },
      schema: { ...replication, operationId: `${operation}ByGet`, querystring: Type.Partial(Replication) }
    }, async request => replicate(askedFor(request, Replication), request.requester))
  }
  const byPath = { ...replication, params: ReplicationRef }
  const replicateByPath = async ({ job, replicas }: Static<typeof ReplicationRef>, by: Requester) =>
    replicate({ job_id: job, replicas }, by)
  app.post(
    '/replicate_down/:job/:replicas',
    { schema: { ...byPath, operationId: 'replicateServiceDown' } },
    async ({ params, requester }) => replicateByPath(params, requester)
  )
  app.get('/replicate_down/:job/:replicas', {
    exposeHeadRoute: false,
    config: { changes: true },
    schema: { ...byPath, operationId: 'replicateServiceDownByGet' }
  }, async ({ params, requester }) => replicateByPath(params, requester))
}
export default routes
