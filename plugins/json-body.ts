import fp from 'fastify-plugin'
import { ApiError } from '../schemas/errors.js'
import { parseJson } from '../schemas/json-text.js'

/**
 * Parses JSON bodies. Many clients send the content type without a body, on a DELETE for example. That counts as no
 * body; the schema of the route decides whether it needs one.
 */
export default fp(async function jsonBody (app) {
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    const { 'content-encoding': encoding = 'identity' } = headers
    if (encoding === 'identity') return done()
    done(
      new ApiError('media_type_unsupported', `Content-Encoding ${encoding.slice(0, 100)} is not supported`, {
        hint: 'Send the body uncompressed'
      })
    )
  })
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, jsonOf(String(body)))
    } catch (err) {
      done(err as Error)
    }
  })
}, { name: 'json-body' })

/** The value of a body; undefined for an empty one. `json_invalid` for one that cannot be read. */
export function jsonOf (body: string): unknown {
  return body.trim() === '' ? undefined : parseJson(body)
}
