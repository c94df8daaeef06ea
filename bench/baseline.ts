import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'

/** A route of the baseline: the same method and path as ours, answering the same bytes. */
export interface BareRoute {
  method: 'GET' | 'POST'
  url: string
  contentType: string
  payload: string
}

// Run as a child process: takes its routes by IPC, tells its port, and serves until it is ended.
process.once('message', (routes: BareRoute[]) => {
  const server = Fastify()
  server.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  for (const { method, url, contentType, payload } of routes) {
    server.route({
      method,
      url,
      handler: async (_request, reply) => {
        reply.type(contentType).send(payload)
        return await reply
      }
    })
  }
  server.listen({ host: '127.0.0.1', port: 0 }).then(
    () => process.send?.((server.server.address() as AddressInfo).port),
    (err: unknown) => {
      throw err
    }
  )
})
