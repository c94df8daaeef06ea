import fp from 'fastify-plugin'
import { ApiError } from '../schemas/errors.js'

/**
 * Refuses what comes once the server is closing, on connections that are still open, in the words of all other errors:
 * Fastify's own answer has none of them.
 */
export default fp(async function closing (app) {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
    // Else a client that keeps its connection after an answer would delay the end.
    app.server.keepAliveTimeout = 1
  })
  app.addHook('onRequest', (_request, _reply, done) => {
    done(isClosing ? new ApiError('shutting_down') : undefined)
  })
}, { name: 'closing' })
