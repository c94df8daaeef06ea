import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { jsonOf } from '../../plugins/json-body.js'
import { ClusterRef, Heartbeat, HEARTBEAT_BYTES } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { text, textErrors } from '../../schemas/openapi.js'

/** Heartbeats over HTTP (contract section 2). A larger one than the cluster may send is not parsed. */
const routes: FastifyPluginAsyncTypebox = async app => {
  const { reports } = app.jobLifecycle
  const idOf = (ref: string) => app.clusterRegistry.idOf(ref, 'cluster_id_malformed')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: HEARTBEAT_BYTES.most }, readHeartbeat)

  async function readHeartbeat (request: FastifyRequest, body: string): Promise<unknown> {
    const size = Buffer.byteLength(body)
    if (size > HEARTBEAT_BYTES.least) {
      const most = await reports.mostBytes(await idOf((request.params as { id: string }).id))
      if (size > most) {
        throw new ApiError('body_too_large', `expected a heartbeat of at most ${most} bytes, got ${size}`, {
          hint: 'What a cluster may send rises with the number of instances that are placed there'
        })
      }
    }
    return jsonOf(body)
  }

  app.post('/information/:id', {
    schema: {
      operationId: 'sendHeartbeat',
      summary: 'Heartbeat of a cluster',
      description:
        'Figures and job statuses, every 15 s. An invalid job entry is skipped and shown as a warning on the ' +
        'cluster. The heartbeat still counts.',
      tags: ['edgeio clusters'],
      params: ClusterRef,
      body: Heartbeat,
      response: {
        200: text('Accepted', 'ok'),
        ...textErrors(
          'bad_request',
          'json_invalid',
          'cluster_id_malformed',
          'cluster_not_found',
          'cluster_location_ambiguous',
          'body_too_large',
          'media_type_unsupported'
        )
      }
    }
  }, async ({ params, body, log }) => {
    const { warnings } = await reports.heartbeat(await idOf(params.id), body)
    if (warnings.length > 0) log.warn({ cluster: params.id, warnings }, 'entries of a heartbeat were skipped')
    return 'ok'
  })
}
export default routes
