import fp from 'fastify-plugin'

/**
 * Requests that a client sends without waiting for the last answer are taken one after the other: Node would begin all
 * of them at once, and keep every answer until its turn comes.
 */
export default fp(async function pipelining (app) {
  app.addHook('onRequest', (_request, { raw }, done) => {
    // It has a socket once its turn has come.
    if (raw.socket === null) raw.once('socket', () => done())
    else done()
  })
}, { name: 'pipelining', dependencies: ['requester'] })
