import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Upgrade handlers by path. On any other path, the request is served as if it had offered no upgrade. */
    upgradeHandlers: Map<string, UpgradeHandler>
  }
}

type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Largest frame in bytes: a heartbeat about many thousand jobs. A larger frame closes the channel with 1009. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024

/** Milliseconds that a peer has to answer a close frame before its connection is cut. */
const CLOSE_MS = 1000

/**
 * WebSocket upgrades of the routes with a `wsHandler`. When the server closes, every client gets 1001, "going away"
 * (RFC 6455, section 7.4.1).
 */
export default fp(async function webSocket (app) {
  const upgrades = new EventEmitter()
  const handlers = new Map<string, UpgradeHandler>()
  app.decorate('upgradeHandlers', handlers)

  app.addHook('onRoute', ({ url, wsHandler }) => {
    if (wsHandler) handlers.set(url, (...upgrade) => upgrades.emit('upgrade', ...upgrade))
  })

  function onUpgrade (request: IncomingMessage, socket: Duplex, head: Buffer) {
    const isWebSocket = request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket'
    const handler = isWebSocket ? handlers.get(request.url?.split('?', 1)[0] ?? '') : undefined
    if (handler) handler(request, socket, head)
    else ignoreOffer(app.server, request, socket, head)
  }
  app.server.on('upgrade', onUpgrade)

  const options = {
    server: upgrades as Server,
    maxPayload: MAX_FRAME_BYTES,
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
}, { name: 'websocket' })

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
