import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** Paths that clients use: with the slash by default, without it when configured so. */
const PATHS = ['/socket.io/', '/socket.io']

/** Socket.IO, for the registration of unmodified cluster managers (contract section 5). */
const routes: FastifyPluginAsyncTypebox = async app => {
  const { socketIo } = app.clusterChannel
  // Engine.IO reads the body itself.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null))
  for (const url of PATHS) {
    app.route({
      method: ['GET', 'POST'],
      url,
      exposeHeadRoute: false,
      schema: { hide: true },
      handler (request, reply) {
        reply.hijack()
        socketIo.serve(request.raw, reply.raw)
      }
    })
    app.upgradeHandlers.set(url, socketIo.upgrade)
  }
}
export default routes
