import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import type { ClusterId } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { textErrors } from '../../schemas/openapi.js'
import { createCaller } from './http-push/call.js'
import { readNetworks } from './http-push/networks.js'
import { createHttpPush } from './http-push/push.js'
import { createRedeployDelays } from './http-push/redeploy-delay.js'
import { startSweep } from './sweep.js'
import { startSession, type SessionContext } from './session.js'
import { createSessions } from './sessions.js'
import { createAcknowledgements } from './acknowledgements.js'
import { serveSocketIo } from './socket-io.js'

declare module 'fastify' {
  interface FastifyInstance {
    clusterChannel: ClusterChannel
  }
}

/**
 * The ways to the clusters: the raw WebSocket channel, Socket.IO registration, HTTP push (contract sections 3 and 5).
 */
export interface ClusterChannel {
  /** True while this process holds an open, registered channel of the cluster. */
  isConnected (clusterId: ClusterId): boolean
  /** Which of these clusters have an open channel, to this process or another one on the same database. */
  connected (clusterIds: ClusterId[]): Promise<Set<ClusterId>>
}

export default fp(async function clusterChannel (app) {
  const { config, store, leases, clusterRegistry, jobLifecycle, log } = app
  const acknowledgements = createAcknowledgements(store.outbox, jobLifecycle.reports)
  const sessions = createSessions(store.channels, leases, log)
  const lease = leases.campaign('http-push')

  async function connected (clusterIds: ClusterId[]): Promise<Set<ClusterId>> {
    const held = await store.channels.current(clusterIds)
    return new Set(clusterIds.filter(id => sessions.isConnected(id) || held.has(id)))
  }

  const push = createHttpPush({
    lease,
    registry: clusterRegistry,
    reports: jobLifecycle.reports,
    outbox: store.outbox,
    acknowledgements,
    caller: createCaller(readNetworks(config.CLUSTER_NETWORKS), config.CLUSTER_ANSWER_S * 1000),
    redeployDelays: createRedeployDelays(config.REDEPLOY_AFTER_S * 1000),
    isHeld: async clusterId => (await connected([clusterId])).has(clusterId),
    log
  })
  const context: SessionContext = {
    registry: clusterRegistry,
    reports: jobLifecycle.reports,
    outbox: store.outbox,
    acknowledgements,
    sessions,
    leaveToChannel: push.leave,
    heartbeatIntervalS: config.HEARTBEAT_INTERVAL_S,
    pingIntervalMs: config.PING_INTERVAL_S * 1000,
    resendMs: config.COMMAND_RESEND_S * 1000
  }

  function wake (clusterIds: ClusterId[]): void {
    sessions.wake(clusterIds)
    push.wake(clusterIds.filter(id => !sessions.isConnected(id)))
  }

  function claimedElsewhere (clusterIds: ClusterId[]): void {
    for (const id of clusterIds) push.leave(id)
    sessions.yieldToNewer(clusterIds).catch(err =>
      log.warn({ err }, 'the database could not be asked who holds a channel, it is tried again')
    )
  }

  // One listener for all sessions, not one for each of ten thousand.
  jobLifecycle.events.on('commands', wake)
  clusterRegistry.events.on('alive', push.hurry)
  clusterRegistry.events.on('removed', sessions.remove)
  store.notifications.on('commands', wake)
  store.notifications.on('claims', claimedElsewhere)

  const closing = new AbortController()
  const sweep = startSweep({
    outbox: store.outbox,
    channels: store.channels,
    lease,
    sessions,
    push,
    signal: closing.signal,
    log
  })

  app.decorate('clusterChannel', { isConnected: sessions.isConnected, connected })
  app.addHook('onClose', async () => {
    store.notifications.off('commands', wake)
    store.notifications.off('claims', claimedElsewhere)
    closing.abort()
    // By now the sockets are closed; what came on them is still finished before the lifecycle and the store go.
    await Promise.all([sweep.stopped, push.stop(), sessions.ended()])
  })

  serveSocketIo(app, clusterRegistry)
  app.route({
    method: 'GET',
    url: '/register',
    schema: {
      operationId: 'openChannel',
      summary: 'Open the raw WebSocket channel of a cluster',
      description: 'A WebSocket upgrade; docs/channel.md tells the protocol.',
      tags: ['edgeio clusters'],
      response: {
        101: { description: 'The channel is open', content: { 'text/plain': { schema: Type.String() } } },
        ...textErrors('upgrade_required')
      }
    },
    handler (_request, reply) {
      reply.header('upgrade', 'websocket')
      throw new ApiError('upgrade_required', 'GET /register is the WebSocket channel of clusters', {
        hint: 'Connect with a WebSocket client: ws://…/register'
      })
    },
    wsHandler (socket, request) {
      startSession(socket, { address: request.ip, log: request.log }, context)
    }
  })
}, {
  name: 'cluster-channel',
  dependencies: ['config', 'store', 'leases', 'websocket', 'cluster-registry', 'job-lifecycle']
})
