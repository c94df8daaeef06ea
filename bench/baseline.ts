import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'

/** A route of the baseline, with the same method, path and answer as ours. */
export interface BareRoute {
  method: 'GET' | 'POST'
  url: string
  contentType: string
  payload: string
}

// A child process: receives its routes by IPC, sends its port, and serves until it is killed.
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
