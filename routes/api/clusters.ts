import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Cluster } from '../../schemas/cluster.js'
import { clusterWithOid } from '../../schemas/cluster-document.js'
import { json, textErrors } from '../../schemas/openapi.js'

const Documents = Type.Array(Type.Record(Type.String(), Type.Unknown()), {
  description: 'Cluster documents of the contract, `_id` as {"$oid": …}'
})

const toText = (cluster: Cluster) => JSON.stringify(clusterWithOid(cluster))

/** Clusters, in the user API of the EdgeIO contract (section 1). */
const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/clusters', {
    schema: {
      operationId: 'listActiveClusterDocuments',
      summary: 'The active clusters',
      tags: ['edgeio users'],
      response: { 200: json('Clusters with a sign of life within the grace time', Documents), ...textErrors() }
    }
  }, async (_request, reply) => reply.sendItems({
    read: page => app.clusterRegistry.list({ ...page, active: true }),
    toText
  }))

  app.get('/clusters_all', {
    schema: {
      operationId: 'listClusterDocuments',
      summary: 'All clusters',
      tags: ['edgeio users'],
      response: { 200: json('Every registered cluster', Documents), ...textErrors() }
    }
  }, async (_request, reply) => reply.sendItems({ read: page => app.clusterRegistry.list(page), toText }))

  app.get('/clusters/count', {
    schema: {
      operationId: 'countActiveClusters',
      summary: 'The number of active clusters',
      tags: ['edgeio users'],
      response: { 200: json('A number', Type.Integer({ examples: [2] })), ...textErrors() }
    }
  }, async () => app.clusterRegistry.liveness.countActive())
}
export default routes
