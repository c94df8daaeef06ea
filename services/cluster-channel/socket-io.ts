import { EventEmitter } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Server, type Socket } from 'socket.io'
import { ApiError } from '../../schemas/errors.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import { checkFrame, complaintOf, type Complaint } from './frames.js'
import { REGISTRATION_TIMEOUT_MS } from './session.js'

/** Where clients look for it: with the slash by default, without it when told so. */
const PATHS = ['/socket.io/', '/socket.io']

/** Largest message, bytes. One cluster presents itself in it. */
const MAX_MESSAGE_BYTES = 1024 * 1024

/** Connections at a time. A cluster manager stays for less than a second; one that is turned away may try again. */
const MAX_CONNECTIONS = 5000

/** Nobody stays longer, milliseconds: time to present itself, and as much again to leave. */
const MAX_STAY_MS = 2.5 * REGISTRATION_TIMEOUT_MS

/**
 * Milliseconds that a session is kept for its last poll. Engine.IO keeps each for half a minute, also of who has left.
 */
const LAST_POLL_MS = 3000

/** Milliseconds that a WebSocket has to answer a closing frame when the server closes. */
const CLOSE_MS = 500

/**
 * Registration of unmodified cluster managers (contract section 5): Socket.IO namespace `/register`, Engine.IO 4 and 3,
 * long polling and WebSocket, on the server's own port. A cluster that has its id leaves and goes on by HTTP.
 */
export function serveSocketIo (app: FastifyInstance, registry: Pick<ClusterRegistry, 'register'>): void {
  // Engine.IO would put itself between the HTTP server and Fastify. It is given requests by a route instead.
  const requests = new EventEmitter()
  const io = new Server({
    path: '/socket.io',
    addTrailingSlash: false,
    serveClient: false,
    destroyUpgrade: false,
    allowEIO3: true,
    transports: ['polling', 'websocket'],
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    connectTimeout: REGISTRATION_TIMEOUT_MS,
    httpCompression: false,
    allowRequest: (_request, decide) => decide('too many connections', io.engine.clientsCount < MAX_CONNECTIONS)
  }).attach(requests as HttpServer)
  const upgraded = new Set<Duplex>()
  const registering = new Set<Promise<void>>()

  io.engine.on('connection', connection => {
    // There is no setting for it; should it be renamed, sessions are merely kept longer.
    if (connection.transport.name === 'polling') connection.transport.closeTimeout = LAST_POLL_MS
    // Also for those that join no namespace, or another one.
    const stay = setTimeout(() => connection.close(), MAX_STAY_MS).unref()
    connection.once('close', () => clearTimeout(stay))
  })

  io.of('/register').on('connection', socket => {
    let patience = setTimeout(
      () =>
        turnAway(socket, {
          code: 'registration_timeout',
          message: `expected cs1 within ${REGISTRATION_TIMEOUT_MS / 1000} s`
        }),
      REGISTRATION_TIMEOUT_MS
    )
    socket.once('disconnect', () => clearTimeout(patience))
    socket.once('cs1', (data: unknown) => {
      clearTimeout(patience)
      const done = register(socket, data).finally(() => {
        registering.delete(done)
        if (socket.connected) patience = setTimeout(() => socket.disconnect(true), REGISTRATION_TIMEOUT_MS)
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
      const cluster = await registry.register(frame.data, socket.handshake.address, 'socket.io')
      app.log.info({ cluster: cluster.cluster_name, cluster_id: cluster.id }, 'a cluster registered over Socket.IO')
      // The client parses it itself: JSON in a string.
      socket.emit('sc2', JSON.stringify({ id: cluster.id }))
    } catch (err) {
      if (!(err instanceof ApiError) || err.status >= 500) {
        app.log.error({ err }, 'a registration over Socket.IO failed')
      }
      turnAway(socket, complaintOf(err, 'cs1'))
    }
  }

  function turnAway (socket: Socket, complaint: Complaint): void {
    app.log.info({ code: complaint.code, address: socket.handshake.address }, 'an error was told to a cluster')
    socket.emit('error', complaint)
    socket.disconnect(true)
  }

  app.register(async routes => {
    // Engine.IO reads the body itself.
    routes.removeAllContentTypeParsers()
    routes.addContentTypeParser('*', (_request, _body, done) => done(null))
    for (const url of PATHS) {
      routes.route({
        method: ['GET', 'POST'],
        url,
        exposeHeadRoute: false,
        schema: { hide: true },
        handler (request, reply) {
          reply.hijack()
          requests.emit('request', request.raw, reply.raw)
        }
      })
      app.upgradeHandlers.set(url, (request, socket, head) => {
        upgraded.add(socket)
        socket.once('close', () => upgraded.delete(socket))
        requests.emit('upgrade', request, socket, head)
      })
    }
  })

  app.addHook('preClose', async () => {
    for (const url of PATHS) app.upgradeHandlers.delete(url)
    io.disconnectSockets(true)
    io.engine.close()
    // The server's end waits for every connection, also for that of a peer that does not answer any more.
    setTimeout(() => {
      for (const socket of upgraded) socket.destroy()
    }, CLOSE_MS).unref()
  })
  app.addHook('onClose', () => Promise.all(registering).then(() => {}))
}
