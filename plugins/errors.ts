import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Negotiator from 'negotiator'
import { ApiError, catalogue, type Problem, type Violation } from '../schemas/errors.js'
import { dotted } from '../schemas/wording.js'

/** What to do about a form with too much in it. */
export const ONE_FILE = 'Send one file, as the part named file. It may hold several services'

/** What to do about a content type that a route does not take. */
export const TYPES_OF_ROUTES = 'GET /docs lists the content types of each route'

/** Seconds after which a client may repeat a request that got 503. */
const RETRY_AFTER_S = 2

/**
 * Answers every error as one of the catalogue: problem+json under /api/v1, plain text elsewhere unless the client
 * prefers JSON.
 */
export default fp(async function errors (app) {
  app.setErrorHandler(answerError)
}, { name: 'errors' })

/** Also handles errors before a route is found (`frameworkErrors`), which no plugin can handle. */
export function answerError (err: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const known = toApiError(err)
  const isExpected = known.code === 'request_expired' || known.code === 'shutting_down'
  if (isExpected) request.log.warn({ code: known.code }, known.message)
  else if (known.status >= 500) request.log.error({ err }, known.message)
  else request.log.info({ code: known.code }, known.message)
  return answer(known, request, reply)
}

/**
 * Answers bytes that are no HTTP request, or come too late (`clientErrorHandler`). Without a request there are no
 * preferences to read, so the answer is plain text. The connection is closed after it.
 */
export function answerUnreadable (err: Error & { code?: string }, socket: Socket): void {
  if (err.code === 'ECONNRESET' || !socket.writable) return
  const error = fromParser(err)
  const body = toText(error)
  socket.write([
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body
  ].join('\r\n'))
  socket.destroySoon()
}

function fromParser (err: Error & { code?: string }): ApiError {
  switch (err.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', undefined, { cause: err })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', undefined, { cause: err })
  }
  return new ApiError('bad_request', `This is not HTTP/1.1: ${err.message}`, { cause: err })
}

/** Answers a request with an error. */
export function answer (error: ApiError, request: FastifyRequest, reply: FastifyReply) {
  reply.code(error.status)
  if (error.status === 503) reply.header('retry-after', RETRY_AFTER_S)
  if (request.url.startsWith('/api/v1') || wantsJson(request)) {
    return reply.type('application/problem+json').send(toProblem(error, request.id))
  }
  return reply.type('text/plain; charset=utf-8').send(toText(error))
}

/** Problem details (RFC 9457). */
function toProblem (error: ApiError, requestId: string): Problem {
  return {
    type: `/docs/errors#${error.code}`,
    title: catalogue[error.code].title,
    status: error.status,
    code: error.code,
    detail: error.message,
    instance: requestId,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.violations && { violations: error.violations }),
    ...error.excess
  }
}

/** The same as text, for a user at a terminal. */
function toText (error: ApiError): string {
  const lines = [`${error.code}: ${error.message}`]
  for (const { field, message, document, line, column } of error.violations ?? []) {
    const at = line === undefined
      ? ''
      : ` (${document === undefined ? '' : `document ${document}, `}line ` +
        `${line}${column === undefined ? '' : `, column ${column}`})`
    lines.push(`  ${field || (error.code === 'bad_request' ? 'body' : 'file')}${at}: ${message}`)
  }
  if (error.hint) lines.push(`  hint: ${error.hint}`)
  return lines.join('\n') + '\n'
}

/** The forms of an answer. The first one is for clients without a preference, such as `curl` with its `*\/*`. */
const FORMS = ['text/plain', 'application/json', 'application/problem+json']

/** True when the client prefers JSON to text (RFC 9110, section 12.5.1). */
export function wantsJson ({ headers }: FastifyRequest): boolean {
  return headers.accept !== undefined && new Negotiator({ headers }).mediaType(FORMS)?.endsWith('json') === true
}

/** What users call the parts of a request that Fastify names. */
const PARTS: Readonly<Record<string, string>> = {
  body: 'body',
  params: 'path',
  querystring: 'query',
  headers: 'header'
}

/** Maps the errors of Fastify and its plugins to the catalogue. */
function toApiError (err: FastifyError): ApiError {
  if (err instanceof ApiError) return err
  if (err.validation) {
    const violations: Violation[] = err.validation.slice(0, 50).map(({ instancePath, message }) => ({
      field: dotted(instancePath),
      message: message ?? 'is not valid'
    }))
    return new ApiError('bad_request', `The ${PARTS[err.validationContext ?? ''] ?? 'request'} is not valid`, {
      violations,
      cause: err
    })
  }
  switch (err.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new ApiError('json_invalid', err.message, { cause: err })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
    case 'FST_REQ_FILE_TOO_LARGE':
      return new ApiError('body_too_large', err.message, {
        hint: 'Send less, or in several requests: docs/security.md has the limit of each route',
        cause: err
      })
    case 'FST_PARTS_LIMIT':
    case 'FST_FILES_LIMIT':
    case 'FST_FIELDS_LIMIT': {
      const what = err.code === 'FST_FILES_LIMIT' ? 'more than one file' : 'too many parts'
      return new ApiError('bad_request', `The form has ${what}`, {
        hint: ONE_FILE,
        cause: err
      })
    }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_INVALID_MULTIPART_CONTENT_TYPE':
      return new ApiError('media_type_unsupported', undefined, {
        hint: TYPES_OF_ROUTES,
        cause: err
      })
  }
  const status = err.statusCode ?? 500
  if (status >= 400 && status < 500) return new ApiError('bad_request', err.message, { cause: err })
  return new ApiError('internal_error', undefined, { cause: err })
}
