import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ClusterPlace, ClusterView, Worker, type Cluster } from '../../../schemas/cluster.js'
import { warningsOf } from '../../../schemas/cluster-facts.js'
import { json, Limit, problems, ref } from '../../../schemas/openapi.js'
import { HexId, Nullable } from '../../../schemas/primitives.js'

const ClusterRef = Type.Object({ cluster: ClusterPlace })

const refErrors = ['cluster_not_found', 'cluster_location_ambiguous'] as const

/** Clusters as resources. */
const routes: FastifyPluginAsyncTypebox = async app => {
  async function view (clusters: Cluster[]): Promise<ClusterView[]> {
    const connected = await app.clusterChannel.connected(clusters.map(({ id }) => id))
    return clusters.map(cluster => ({
      ...cluster,
      warnings: warningsOf(cluster, Date.now()),
      active: app.clusterRegistry.liveness.isActive(cluster),
      connected: connected.has(cluster.id)
    }))
  }

  app.get('/clusters', {
    schema: {
      operationId: 'listClusters',
      summary: 'List clusters',
      tags: ['clusters'],
      querystring: Type.Object({
        active: Type.Optional(Type.Boolean({ default: false, description: 'true leaves out silent clusters' })),
        after: Type.Optional(Type.String({ ...HexId, description: '`next` of the previous page' })),
        limit: Type.Optional(Limit)
      }, { additionalProperties: false }),
      response: {
        200: json(
          'A page, in order of registration',
          Type.Object({
            items: Type.Array(ref(ClusterView)),
            next: Nullable(Type.String({ description: 'Cursor of the next page, null on the last' }))
          })
        ),
        ...problems('bad_request')
      }
    }
  }, async ({ query: { limit = Limit.default, after, ...filters } }, reply) => reply.sendItems({
    read: async page => await view(await app.clusterRegistry.list({ ...filters, ...page })),
    toText: cluster => JSON.stringify(cluster),
    page: { limit, ...(after !== undefined && { after }) }
  }))

  app.get('/clusters/:cluster', {
    schema: {
      operationId: 'getCluster',
      summary: 'Get a cluster',
      tags: ['clusters'],
      params: ClusterRef,
      response: { 200: json('The cluster', ref(ClusterView)), ...problems(...refErrors) }
    }
  }, async ({ params }) => (await view([await app.clusterRegistry.find(params.cluster)]))[0])

  app.get('/clusters/:cluster/nodes', {
    schema: {
      operationId: 'listWorkerNodes',
      summary: 'List the worker nodes of a cluster',
      tags: ['clusters'],
      params: ClusterRef,
      response: {
        200: json(
          'The workers of its last heartbeat; empty if it does not list them',
          Type.Object({
            items: Type.Array(Worker),
            counted: Type.Integer({ description: 'Workers counted by the cluster' })
          })
        ),
        ...problems(...refErrors)
      }
    }
  }, async ({ params }) => {
    const { workers, active_nodes: active, nodes } = await app.clusterRegistry.find(params.cluster)
    return { items: workers ?? [], counted: active ?? nodes }
  })

  const actions = {
    cordon: ['cordonCluster', 'Place no new instances on a cluster', 'Its instances stay.'],
    drain: [
      'drainCluster',
      'Move all instances away from a cluster',
      'The cluster takes no new instances. Each of its instances starts elsewhere before it is removed. Those that ' +
        'fit nowhere else stay and show the reason. Repeat the request to try again.'
    ],
    uncordon: [
      'uncordonCluster',
      'Place instances on a cluster again',
      'Instances that a drain has found no other place for yet stay.'
    ]
  } as const
  for (const action of ['cordon', 'drain', 'uncordon'] as const) {
    const [operationId, summary, description] = actions[action]
    app.post(`/clusters/:cluster/${action}`, {
      schema: {
        operationId,
        summary,
        description,
        tags: ['clusters'],
        params: ClusterRef,
        response: {
          200: json('The cluster', ref(ClusterView)),
          ...problems(...refErrors, 'conflict')
        }
      }
    }, async ({ params, requester }) => {
      const id = await app.clusterRegistry.idOf(params.cluster)
      return (await view([await app.jobLifecycle.clusters[action](id, requester)]))[0]
    })
  }

  app.delete('/clusters/:cluster', {
    schema: {
      operationId: 'deleteCluster',
      summary: 'Delete a cluster',
      description:
        'Closes its channel. Refused while instances are placed on the cluster, unless forced: then they are placed ' +
          'elsewhere.',
      tags: ['clusters'],
      params: ClusterRef,
      querystring: Type.Object({ force: Type.Optional(Type.Boolean({ default: false })) }, {
        additionalProperties: false
      }),
      response: {
        204: { description: 'Deleted', type: 'null' },
        ...problems('bad_request', ...refErrors, 'cluster_in_use')
      }
    }
  }, async ({ params, query, requester }, reply) => {
    const id = await app.clusterRegistry.idOf(params.cluster)
    await app.jobLifecycle.clusters.remove(id, { force: query.force ?? false, by: requester })
    reply.code(204)
  })
}
export default routes
