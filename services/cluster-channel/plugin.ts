import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import type { ClusterId } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { textErrors } from '../../schemas/openapi.js'
import { startSession, type SessionContext } from './session.js'
import { createSessions } from './sessions.js'
import { createSettlement } from './settlement.js'
import { serveSocketIo } from './socket-io.js'

declare module 'fastify' {
  interface FastifyInstance { clusterChannel: ClusterChannel }
}

/** The raw WebSocket channel to clusters (contract section 5). */
export interface ClusterChannel {
  /** True while this process holds an open, registered channel of the cluster. */
  isConnected (clusterId: ClusterId): boolean
}

export default fp(async function clusterChannel (app) {
  const { config, store, clusterRegistry, jobLifecycle } = app
  const sessions = createSessions(clusterRegistry, jobLifecycle)
  const context: SessionContext = {
    registry: clusterRegistry,
    lifecycle: jobLifecycle,
    outbox: store.outbox,
    settlement: createSettlement(store.outbox, jobLifecycle),
    sessions,
    heartbeatIntervalS: config.HEARTBEAT_INTERVAL_S,
    pingIntervalMs: config.PING_INTERVAL_S * 1000,
    resendMs: config.COMMAND_RESEND_S * 1000
  }

  app.decorate('clusterChannel', { isConnected: sessions.isConnected })
  // By then the sockets are closed; what came on them is still finished before the lifecycle and the store go.
  app.addHook('onClose', () => sessions.ended())

  serveSocketIo(app, clusterRegistry)
  app.route({
    method: 'GET',
    url: '/register',
    schema: {
      operationId: 'openChannel',
      summary: 'Open the raw WebSocket channel of a cluster',
      description: 'A WebSocket upgrade; docs/channel.md tells the protocol.',
      tags: ['edgeio clusters'],
      response: { 101: { description: 'The channel is open', content: { 'text/plain': { schema: Type.String() } } }, ...textErrors('upgrade_required') }
    },
    handler (_request, reply) {
      reply.header('upgrade', 'websocket')
      throw new ApiError('upgrade_required', 'GET /register is the WebSocket channel of clusters', { hint: 'Connect with a WebSocket client: ws://…/register' })
    },
    wsHandler (socket, request) {
      startSession(socket, { address: request.ip, log: request.log }, context)
    }
  })
}, { name: 'cluster-channel', dependencies: ['config', 'store', 'websocket', 'cluster-registry', 'job-lifecycle'] })
