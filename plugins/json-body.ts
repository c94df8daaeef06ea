import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parseJson } from '../schemas/json-text.js'

/**
 * Parses JSON bodies. Many clients send the content type without a body, on a DELETE for example. That counts as no
 * body; the schema of the route decides whether it needs one.
 */
export default fp(async function jsonBody (app) {
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) =>
    jsonOf(body)
  )
}, { name: 'json-body' })

/** The value of a body; undefined for an empty one. `json_invalid` for one that cannot be read. */
export function jsonOf (body: string): unknown {
  return body.trim() === '' ? undefined : parseJson(body)
}
