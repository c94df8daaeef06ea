import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'

/** Largest frame, bytes: a heartbeat about many thousand jobs. A larger one closes the channel with 1009. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024

/** Milliseconds that clients have to answer the closing frame when the server closes. */
const CLOSE_MS = 1000

/** WebSocket upgrades; on close every client is told 1001, "going away" (RFC 6455, section 7.4.1). */
export default fp(async function webSocket (app) {
  await app.register(websocket, {
    options: { maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false },
    errorHandler (err, socket, request) {
      request.log.info({ err }, 'a WebSocket failed')
      socket.terminate()
    },
    async preClose () {
      const { clients } = app.websocketServer
      const closed = [...clients].map(client => new Promise(resolve => client.once('close', resolve)))
      for (const client of clients) client.close(1001, 'the System Manager is closing')
      const impatience = setTimeout(() => {
        for (const client of clients) client.terminate()
      }, CLOSE_MS)
      await Promise.all(closed)
      clearTimeout(impatience)
      app.websocketServer.close()
    }
  })
}, { name: 'websocket' })
