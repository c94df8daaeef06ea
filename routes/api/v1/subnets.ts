import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { json, Limit, problems } from '../../../schemas/openapi.js'
import { Nullable, Timestamp } from '../../../schemas/primitives.js'

const Subnet = Type.Object({
  subnet: Type.String({ description: 'First of its 64 addresses', examples: ['172.18.0.64'] }),
  address: Nullable(
    Type.String({
      description: 'Address that asked for it; null where another program gave it out, or an earlier version',
      examples: ['192.168.178.40']
    })
  ),
  given_at: Nullable(Timestamp)
})

/** Subnets of worker nodes, as resources. */
const routes: FastifyPluginAsyncTypebox = async app => {
  const { subnets } = app

  app.get('/subnets', {
    schema: {
      operationId: 'listSubnets',
      summary: 'List the subnets that were given out',
      tags: ['clusters'],
      querystring: Type.Object({
        after: Type.Optional(Type.String({ maxLength: 15, description: 'Subnet after which to go on' })),
        limit: Type.Optional(Limit)
      }, { additionalProperties: false }),
      response: {
        200: json(
          'Subnets in order; `next` is the `after` of the next page, null on the last one',
          Type.Object({ items: Type.Array(Subnet), next: Nullable(Type.String()) })
        ),
        ...problems('bad_request', 'address_malformed')
      }
    }
  }, async ({ query: { after, limit = Limit.default } }) => {
    const found = await subnets.list({ ...(after !== undefined && { after }), limit: limit + 1 })
    const items = found.slice(0, limit)
    return { items, next: found.length > limit ? items.at(-1)?.subnet ?? null : null }
  })

  app.delete('/subnets/:subnet', {
    schema: {
      operationId: 'releaseSubnet',
      summary: 'Take back a subnet that no worker node uses any more',
      description: 'It is given out again after those that were never given out. A worker that still uses it would ' +
        'share it with another one.',
      tags: ['clusters'],
      params: Type.Object({ subnet: Type.String({ examples: ['172.18.0.64'] }) }),
      response: {
        204: { description: 'Taken back', type: 'null' },
        ...problems('address_malformed', 'subnet_not_found')
      }
    }
  }, async ({ params }, reply) => {
    await subnets.release(params.subnet)
    reply.code(204)
  })
}
export default routes
