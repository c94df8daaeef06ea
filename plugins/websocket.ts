import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import websocket, { type WebSocket } from '@fastify/websocket'
import fp from 'fastify-plugin'
import { HEARTBEAT_BYTES } from '../schemas/cluster.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Upgrade handlers by path. On any other path, the request is served as if it had offered no upgrade. */
    upgradeHandlers: Map<string, UpgradeHandler>
  }
}

type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Bytes of the first frame, with which a peer says who it is; a larger one closes the channel with 1009. */
const FIRST_FRAME_BYTES = 128 * 1024

/** Milliseconds that a peer has to answer a close frame before its connection is cut. */
const CLOSE_MS = 1000

/**
 * WebSocket upgrades of the routes with a `wsHandler`. When the server closes, every client gets 1001, "going away"
 * (RFC 6455, section 7.4.1).
 */
export default fp(async function webSocket (app) {
  const upgrades = new EventEmitter()
  /** The last answer on each connection, begun or finished. */
  const answers = new WeakMap<Duplex, ServerResponse>()
  const handlers = new Map<string, UpgradeHandler>()
  app.decorate('upgradeHandlers', handlers)

  app.addHook('onRoute', ({ url, wsHandler }) => {
    if (wsHandler) handlers.set(url, (...upgrade) => upgrades.emit('upgrade', ...upgrade))
  })

  function onUpgrade (request: IncomingMessage, socket: Duplex, head: Buffer) {
    const isWebSocket = request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket'
    // What a foreign page sent is refused like a request of any other kind.
    const handler = isWebSocket && !app.foreign(request) ? handlers.get(request.url?.split('?', 1)[0] ?? '') : undefined
    if (handler) return handler(request, socket, head)
    const serve = () => ignoreOffer(app.server, request, socket, head)
    // Answers to requests that were sent before this one come first: of them a new parser would know nothing.
    const before = answers.get(socket)
    if (!before || before.writableFinished) serve()
    else before.once('finish', serve)
  }
  app.server.on('request', ({ socket }, response) => answers.set(socket, response))
  app.server.on('upgrade', onUpgrade)

  const options = {
    server: upgrades as Server,
    maxPayload: HEARTBEAT_BYTES.most,
    perMessageDeflate: false,
    closeTimeout: CLOSE_MS
  }
  await app.register(websocket, {
    options,
    // Closes instead of cutting the connection, so that the peer can read the reason; CLOSE_MS bounds that.
    errorHandler (err, socket, request) {
      const broken = 'code' in err && String(err.code).startsWith('WS_ERR_')
      request.log[broken ? 'info' : 'error'](broken ? { code: err.code } : { err }, 'a WebSocket failed')
      socket.close(1011)
    },
    async preClose () {
      app.server.off('upgrade', onUpgrade)
      const { clients } = app.websocketServer
      const closed = [...clients].map(client => new Promise(resolve => client.once('close', resolve)))
      for (const client of clients) client.close(1001, 'the System Manager is closing')
      await Promise.all(closed)
      app.websocketServer.close()
    }
  })
  app.websocketServer.on('connection', (client, { socket }) => boundFirstFrame(client, socket))
}, { name: 'websocket', dependencies: ['browsers'] })

/** The limit of the server holds for those that are known; ws has no other one for the first frame. */
function boundFirstFrame (client: WebSocket, socket: Socket): void {
  let bytes = 0
  let isOver = false
  const stop = () => {
    isOver = true
    socket.off('data', onData)
  }
  function onData (chunk: Buffer) {
    bytes += chunk.length
    if (isOver || bytes <= FIRST_FRAME_BYTES) return
    stop()
    refuse()
  }
  const refuse = () => client.close(1009, `the first frame has more than ${FIRST_FRAME_BYTES} bytes`)
  socket.on('data', onData)
  client.once('message', data => {
    stop()
    // It may have come together with the last of what was counted.
    if ((data as Buffer).length > FIRST_FRAME_BYTES) refuse()
  })
}

/**
 * Serves a request as if it had not offered an upgrade, as RFC 9110, section 7.8 allows: some HTTP clients offer h2c
 * with every request. Node stops parsing after such an offer, so it gets the request once more without it.
 */
function ignoreOffer (
  server: Server,
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer
) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!/^(upgrade|http2-settings)$/i.test(rawHeaders[i]!)) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(lines.join('\r\n') + '\r\n\r\n', 'latin1'), head]))
  server.emit('connection', socket)
}
