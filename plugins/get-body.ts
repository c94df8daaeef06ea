import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from '../schemas/errors.js'
import { jsonOf } from './json-body.js'

/**
 * The routes whose GET may have a body register it in their own scope: elsewhere the body of a GET has no meaning
 * (RFC 9110, section 9.3.1).
 */
export const autoload = false

/** Largest body of a GET, in bytes: it holds a few names. */
const MAX_BYTES = 64 * 1024

/** Reads the JSON body of a GET, of any content type. Fastify does not read it. */
export default fp(async function getBody (app) {
  app.addHook('preHandler', async request => {
    if (request.method !== 'GET' || !hasBody(request)) return
    const chunks: Buffer[] = []
    let size = 0
    try {
      for await (const chunk of request.raw as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > MAX_BYTES) {
          throw new ApiError('body_too_large', `The body of a GET is larger than ${MAX_BYTES} bytes`)
        }
        chunks.push(chunk)
      }
    } catch (err) {
      if (err instanceof ApiError) throw err
      throw new ApiError('bad_request', 'The connection ended within the body', { cause: err })
    }
    request.body = jsonOf(Buffer.concat(chunks).toString('utf8'))
  })
}, { name: 'get-body' })

function hasBody ({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The parameters of a GET, from its body or else its query, checked like the body of the POST. */
export function askedFor<T extends TSchema> (request: FastifyRequest, schema: T): Static<T> {
  const part = request.body === undefined ? 'querystring' : 'body'
  const validate = request.compileValidationSchema(schema, part) as unknown as Validate<Static<T>>
  const result = validate(request.body ?? request.query)
  if ('value' in result) return result.value
  throw Object.assign(new Error('the request is not valid'), { validation: result.error, validationContext: part })
}

/** What the validator compiler (validation.ts) makes of a schema. */
type Validate<T> = (input: unknown) => { value: T } | { error: FastifySchemaValidationError[] }
