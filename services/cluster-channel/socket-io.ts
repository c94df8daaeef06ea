import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { Server, type Socket } from 'socket.io'
import { ApiError } from '../../schemas/errors.js'
import type { ClusterRegistration } from '../../schemas/cluster.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import type { NameHolder } from './name-in-use.js'
import { checkFrame, complaintOf, type Complaint } from './frames.js'

/**
 * Registration of unmodified cluster managers (contract section 5): Socket.IO namespace `/register`, Engine.IO 4 and 3,
 * long polling and WebSocket. A cluster that has its id leaves and goes on by HTTP.
 */
export interface SocketIo {
  /** Answers a request to `/socket.io/` from its first byte on: Engine.IO reads the body itself. */
  serve (request: IncomingMessage, response: ServerResponse): void
  /** Answers an upgrade of that path. */
  upgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Disconnects every client. */
  disconnect (): void
  /** Resolves once no registration is under way any more. */
  idle (): Promise<void>
}

/** Largest message, bytes. One cluster presents itself in it. */
const MAX_MESSAGE_BYTES = 128 * 1024

/** Connections at a time. A cluster manager stays for less than a second; one that is turned away may try again. */
const MAX_CONNECTIONS = 5000

/** Nobody stays longer than so many registration timeouts: one to present itself, as much again to leave. */
const MAX_STAY = 2.5

/**
 * Milliseconds that a session is kept for its last poll. Engine.IO keeps each for half a minute, also of who has left.
 */
const LAST_POLL_MS = 3000

/** Milliseconds that a WebSocket has to answer a closing frame when the server closes. */
const CLOSE_MS = 500

/** @param registrationTimeoutMs Milliseconds until `cs1` must have come. */
export function createSocketIo ({ registry, addressRefusal, holderOf, registrationTimeoutMs, log }: {
  registry: Pick<ClusterRegistry, 'register'>
  /** Why a cluster manager may not be called at this address, if it may not. */
  addressRefusal (address: string): Promise<string | undefined>
  /** The session that speaks for the cluster of this name over the channel, and answers. */
  holderOf (registration: ClusterRegistration): Promise<NameHolder | undefined>
  registrationTimeoutMs: number
  log: FastifyBaseLogger
}): SocketIo {
  // Engine.IO would put itself between the HTTP server and Fastify. It gets its requests from a route instead.
  const requests = new EventEmitter()
  const io = new Server({
    path: '/socket.io',
    addTrailingSlash: false,
    serveClient: false,
    destroyUpgrade: false,
    allowEIO3: true,
    transports: ['polling', 'websocket'],
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    connectTimeout: registrationTimeoutMs,
    httpCompression: false,
    allowRequest: (_request, decide) => decide('too many connections', io.engine.clientsCount < MAX_CONNECTIONS)
  }).attach(requests as HttpServer)
  const upgraded = new Set<Duplex>()
  const registering = new Set<Promise<void>>()

  io.engine.on('connection', connection => {
    // There is no setting for it; should it be renamed, sessions are merely kept longer.
    if (connection.transport.name === 'polling') connection.transport.closeTimeout = LAST_POLL_MS
    // Also for those that join no namespace, or another one.
    const stay = setTimeout(() => connection.close(), MAX_STAY * registrationTimeoutMs).unref()
    connection.once('close', () => clearTimeout(stay))
  })

  io.of('/register').on('connection', socket => {
    let patience = setTimeout(
      () =>
        turnAway(socket, {
          code: 'registration_timeout',
          message: `expected cs1 within ${registrationTimeoutMs / 1000} s`
        }),
      registrationTimeoutMs
    )
    socket.once('disconnect', () => clearTimeout(patience))
    socket.once('cs1', (data: unknown) => {
      clearTimeout(patience)
      const done = register(socket, data).finally(() => {
        registering.delete(done)
        if (socket.connected) patience = setTimeout(() => socket.disconnect(true), registrationTimeoutMs)
      })
      registering.add(done)
    })
    socket.emit('sc1', { 'Hello-Cluster_Manager': 'please send your cluster info' })
  })

  async function register (socket: Socket, data: unknown): Promise<void> {
    const frame = checkFrame({ event: 'cs1', data })
    if ('code' in frame) return turnAway(socket, frame)
    if (frame.event !== 'cs1') return
    try {
      const refusal = await addressRefusal(frame.data.advertise_address ?? socket.handshake.address)
      if (refusal !== undefined) {
        throw new ApiError('address_refused', `The cluster manager would be called, and ${refusal}`, {
          hint: 'Add its network to CLUSTER_NETWORKS, or let it use the raw channel'
        })
      }
      const holder = await holderOf(frame.data)
      if (holder && !holder.isSame) {
        throw new ApiError('cluster_name_in_use', `${frame.data.cluster_name} is connected over its channel`, {
          hint: 'Give this cluster a name of its own'
        })
      }
      const cluster = await registry.register(frame.data, socket.handshake.address, 'socket.io')
      log.info({ cluster: cluster.cluster_name, cluster_id: cluster.id }, 'a cluster registered over Socket.IO')
      // The client parses it itself: JSON in a string.
      socket.emit('sc2', JSON.stringify({ id: cluster.id }))
    } catch (err) {
      if (!(err instanceof ApiError) || err.status >= 500) log.error({ err }, 'a registration over Socket.IO failed')
      turnAway(socket, complaintOf(err, 'cs1'))
    }
  }

  function turnAway (socket: Socket, complaint: Complaint): void {
    log.info({ code: complaint.code, address: socket.handshake.address }, 'a cluster got an error')
    socket.emit('error', complaint)
    socket.disconnect(true)
  }

  return {
    serve (request, response) {
      requests.emit('request', request, response)
    },

    upgrade (request, socket, head) {
      upgraded.add(socket)
      socket.once('close', () => upgraded.delete(socket))
      requests.emit('upgrade', request, socket, head)
    },

    disconnect () {
      io.disconnectSockets(true)
      io.engine.close()
      // The server's end waits for every connection, also for that of a peer that does not answer any more.
      setTimeout(() => {
        for (const socket of upgraded) socket.destroy()
      }, CLOSE_MS).unref()
    },

    async idle () {
      await Promise.all(registering)
    }
  }
}
