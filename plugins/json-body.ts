import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { TYPES_OF_ROUTES } from './errors.js'
import { ApiError } from '../schemas/errors.js'
import { parseJson } from '../schemas/json-text.js'

/**
 * Parses JSON bodies. Many clients send a content type without a body, as `curl -X POST -d ''` does. That counts as no
 * body, of whatever type; the schema of the route decides whether it needs one.
 */
export default fp(async function jsonBody (app) {
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    const { 'content-encoding': encoding = 'identity', 'content-length': length = '0' } = headers
    // What has no length has no body (RFC 9112, section 6.3), and so no type of one.
    if (Number(length) === 0 && headers['transfer-encoding'] === undefined) delete headers['content-type']
    if (encoding === 'identity') return done()
    done(
      new ApiError('media_type_unsupported', `Content-Encoding ${encoding.slice(0, 100)} is not supported`, {
        hint: 'Send the body uncompressed'
      })
    )
  })
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, readJson)
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(body.length === 0 ? null : new ApiError('media_type_unsupported', undefined, { hint: TYPES_OF_ROUTES }))
  })
}, { name: 'json-body' })

/** A content type parser, for further types under which clients send JSON. */
export async function readJson (_request: FastifyRequest, body: string): Promise<unknown> {
  return jsonOf(body)
}

/** The value of a body; undefined for an empty one. `json_invalid` for one that cannot be read. */
export function jsonOf (body: string): unknown {
  return body.trim() === '' ? undefined : parseJson(body)
}
