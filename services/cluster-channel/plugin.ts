import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import type { ClusterId } from '../../schemas/cluster.js'
import { createAcknowledgements } from './acknowledgements.js'
import { addressRefusal } from './http-push/address-check.js'
import { createCaller } from './http-push/call.js'
import { readNetworks } from './http-push/networks.js'
import { createHttpPush } from './http-push/push.js'
import { createRedeployDelays } from './http-push/redeploy-delay.js'
import { measureChannels } from './metrics.js'
import { nameHolder } from './name-in-use.js'
import { startSession, type Peer, type SessionContext } from './session.js'
import { createSessions } from './sessions.js'
import { createSocketIo, type SocketIo } from './socket-io.js'
import { startSweeps } from './sweep.js'

declare module 'fastify' {
  interface FastifyInstance {
    clusterChannel: ClusterChannel
  }
}

/**
 * The ways to the clusters: the raw WebSocket channel, Socket.IO registration, HTTP push (contract sections 3 and 5).
 */
export interface ClusterChannel {
  /** Speaks with whoever opened this socket, until it closes. */
  accept (socket: WebSocket, peer: Peer): void
  socketIo: Pick<SocketIo, 'serve' | 'upgrade'>
  /** Which of these clusters have an open channel, to this process or another one on the same database. */
  connected (clusterIds: ClusterId[]): Promise<Set<ClusterId>>
}

export default fp(async function clusterChannel (app) {
  const { config, store, leases, loops, metrics, clusterRegistry, jobLifecycle, log } = app
  const acknowledgements = createAcknowledgements(store.outbox, jobLifecycle.reports)
  const sessions = createSessions(store.channels, leases, app.clusterRegistry.liveness, log)
  const lease = leases.campaign('http-push')
  const registrationTimeoutMs = config.REGISTRATION_TIMEOUT_S * 1000

  async function connected (clusterIds: ClusterId[]): Promise<Set<ClusterId>> {
    const held = await store.channels.current(clusterIds)
    return new Set(clusterIds.filter(id => sessions.isConnected(id) || held.has(id)))
  }

  let hasListened = false
  const networks = readNetworks(config.CLUSTER_NETWORKS)
  const push = createHttpPush({
    lease,
    registry: clusterRegistry,
    reports: jobLifecycle.reports,
    outbox: store.outbox,
    acknowledgements,
    caller: createCaller(networks, config.CLUSTER_ANSWER_S * 1000),
    redeployDelays: createRedeployDelays(config.REDEPLOY_AFTER_S * 1000),
    hasListened: () => hasListened,
    isHeld: async clusterId => (await connected([clusterId])).has(clusterId),
    log
  })
  const context: SessionContext = {
    registry: clusterRegistry,
    outbox: store.outbox,
    acknowledgements,
    sessions,
    mostBytes: jobLifecycle.reports.mostBytes,
    addressRefusal: address => addressRefusal(networks, address),
    leaveToChannel: push.leave,
    registrationTimeoutMs,
    heartbeatIntervalS: config.HEARTBEAT_INTERVAL_S,
    pingIntervalMs: config.PING_INTERVAL_S * 1000,
    resendMs: config.COMMAND_RESEND_S * 1000
  }
  const socketIo = createSocketIo({
    registry: clusterRegistry,
    addressRefusal: context.addressRefusal,
    holderOf: registration => nameHolder(context, registration, registrationTimeoutMs),
    registrationTimeoutMs,
    log
  })

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

  const sweeps = startSweeps({
    outbox: store.outbox,
    channels: store.channels,
    lease,
    sessions,
    push,
    everyMs: config.SWEEP_S * 1000,
    startLoop: loops.start
  })
  measureChannels(metrics, sessions, store.outbox)

  app.decorate('clusterChannel', {
    accept (socket, peer) {
      startSession(socket, peer, context)
    },
    socketIo,
    connected
  })
  app.addHook('onListen', async () => {
    hasListened = true
    sweeps.push.wake()
  })
  app.addHook('preClose', async () => socketIo.disconnect())
  app.addHook('onClose', async () => {
    store.notifications.off('commands', wake)
    store.notifications.off('claims', claimedElsewhere)
    // By now the sockets are closed; what came on them is still finished before the lifecycle and the store go.
    await Promise.all([sweeps.channels.stop(), sweeps.push.stop(), push.stop(), sessions.ended(), socketIo.idle()])
  })
}, {
  name: 'cluster-channel',
  dependencies: ['config', 'metrics', 'store', 'loops', 'leases', 'cluster-registry', 'job-lifecycle']
})
