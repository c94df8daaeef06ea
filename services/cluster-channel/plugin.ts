import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import type { ClusterId } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { textErrors } from '../../schemas/openapi.js'
import { CLOSE, startSession, type Session, type SessionContext } from './session.js'

declare module 'fastify' {
  interface FastifyInstance { clusterChannel: ClusterChannel }
}

/** The raw WebSocket channel to clusters (contract section 5). */
export interface ClusterChannel {
  /** True while this process holds an open, registered channel of the cluster. */
  isConnected (clusterId: ClusterId): boolean
}

export default fp(async function clusterChannel (app) {
  const sessions = new Map<ClusterId, Session>()
  const { config, clusterRegistry, jobLifecycle } = app

  app.decorate('clusterChannel', { isConnected: id => sessions.has(id) })

  // One listener for all sessions, not one for each of ten thousand.
  jobLifecycle.events.on('commands', clusterIds => {
    for (const id of clusterIds) sessions.get(id)?.wake()
  })
  clusterRegistry.events.on('removed', id => sessions.get(id)?.end(CLOSE.removed, 'cluster_removed', 'this cluster was deleted'))

  const context: SessionContext = {
    registry: clusterRegistry,
    lifecycle: jobLifecycle,
    outbox: app.store.outbox,
    heartbeatIntervalS: config.HEARTBEAT_INTERVAL_S,
    pingIntervalMs: config.PING_INTERVAL_S * 1000,
    resendMs: config.COMMAND_RESEND_S * 1000,
    log: app.log,
    onRegistered (id, session) {
      const older = sessions.get(id)
      sessions.set(id, session)
      if (older !== session) older?.end(CLOSE.replaced, 'session_replaced', 'a newer session of this cluster took over')
    },
    onClosed (id, session) {
      // The late close of a replaced session must not take the newer one away.
      if (sessions.get(id) === session) sessions.delete(id)
    }
  }

  app.route({
    method: 'GET',
    url: '/register',
    schema: {
      operationId: 'openChannel',
      summary: 'The raw WebSocket channel of a cluster',
      description: 'Upgrade to WebSocket; docs/channel.md tells the protocol.',
      tags: ['edgeio clusters'],
      response: { 101: { description: 'The channel is open', content: { 'text/plain': { schema: Type.String() } } }, ...textErrors('upgrade_required') }
    },
    handler (_request, reply) {
      reply.header('upgrade', 'websocket')
      throw new ApiError('upgrade_required', 'GET /register is the WebSocket channel of clusters', { hint: 'Connect with a WebSocket client: ws://…/register' })
    },
    wsHandler (socket, request) {
      startSession(socket, request.ip, context)
    }
  })
}, { name: 'cluster-channel', dependencies: ['config', 'store', 'websocket', 'cluster-registry', 'job-lifecycle'] })
