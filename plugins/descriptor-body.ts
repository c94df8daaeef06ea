import multipart from '@fastify/multipart'
import { Type, type TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApplicationDescriptor, Descriptor } from '../schemas/descriptor.js'
import { ApiError, type ErrorCode } from '../schemas/errors.js'
import { ref } from '../schemas/openapi.js'
import { ONE_FILE } from './errors.js'
import { decodeUtf8 } from '../descriptor/decode.js'
import { MAX_DESCRIPTOR_BYTES } from '../descriptor/read.js'

/** The routes that take a descriptor register it in their own scope: elsewhere a JSON body is plain JSON. */
export const autoload = false

/** Content types of a descriptor sent as the body itself (contract section 1). */
const DESCRIPTOR_TYPES = ['application/yaml', 'text/yaml', 'application/x-yaml', 'application/json']

const bodyOf = (what: string, schema: TSchema) => ({
  content: {
    'multipart/form-data': {
      schema: Type.Object({
        file: Type.Unsafe<Buffer>({ type: 'string', format: 'binary', description: `${what}, YAML or JSON` })
      })
    },
    ...Object.fromEntries(DESCRIPTOR_TYPES.map(type => [type, { schema }]))
  }
})

/** OpenAPI content of a body with the descriptor of one service. */
export const descriptorContent = bodyOf('The descriptor', ref(Descriptor))

/** OpenAPI content of a body with the descriptors of one or several services. */
export const descriptorsContent = bodyOf(
  'The descriptor of a service, or those of several: as microservices, or as YAML documents',
  Type.Union([ref(Descriptor), ref(ApplicationDescriptor)])
)

/** What may be wrong with a descriptor that is only looked at. */
export const descriptorErrors = [
  'descriptor_missing',
  'descriptor_unreadable',
  'descriptor_invalid',
  'address_taken',
  'limit_exceeded',
  'body_too_large',
  'media_type_unsupported'
] satisfies ErrorCode[]

/** What may be wrong with one that is deployed. */
export const deployErrors = [...descriptorErrors, 'conflict', 'addresses_exhausted'] satisfies ErrorCode[]

/**
 * Accepts deployment descriptors: as a multipart part `file`, or as a YAML or JSON body (contract section 1). Bodies
 * stay text, JSON too, so that the reader can report lines and find duplicate keys.
 */
export default fp(async function descriptorBody (app) {
  await app.register(multipart, {
    limits: { fileSize: MAX_DESCRIPTOR_BYTES, fieldSize: MAX_DESCRIPTOR_BYTES, files: 1, fields: 10, parts: 11 }
  })
  app.removeContentTypeParser(DESCRIPTOR_TYPES)
  app.addContentTypeParser(
    DESCRIPTOR_TYPES,
    { parseAs: 'buffer', bodyLimit: MAX_DESCRIPTOR_BYTES },
    async (_request: FastifyRequest, body: Buffer) => decodeUtf8(body)
  )
}, { name: 'descriptor-body' })

/** The text of the descriptor in a request. Errors: `descriptor_missing`, `body_too_large`, `bad_request`. */
export async function descriptorText (request: FastifyRequest): Promise<string> {
  const text = request.isMultipart() ? await filePart(request) : request.body
  if (typeof text === 'string') return text
  throw new ApiError('descriptor_missing', undefined, {
    hint:
      'Send it as a multipart part named file (curl -F file=@deploy.yaml), or as the body with content-type ' +
        'application/yaml or application/json'
  })
}

async function filePart (request: FastifyRequest): Promise<string | undefined> {
  let found: string | undefined
  function take (text: string): void {
    if (found !== undefined) throw new ApiError('bad_request', 'The form has more than one file', { hint: ONE_FILE })
    found = text
  }
  try {
    for await (const part of request.parts()) {
      // curl -F 'file=<deploy.yaml' sends the content as a field instead of a file.
      if (part.type === 'field') {
        if (part.valueTruncated) {
          throw new ApiError('body_too_large', `The field ${part.fieldname} is larger than 1 MiB`)
        }
        if (part.fieldname === 'file' && typeof part.value === 'string') take(part.value)
      } else {
        const content = await part.toBuffer()
        if (part.fieldname === 'file') take(decodeUtf8(content))
      }
    }
  } catch (err) {
    // Errors of the multipart parser carry no status code. All of them are the client's.
    if (err instanceof Error && !(err instanceof ApiError) && !('statusCode' in err)) {
      throw new ApiError('bad_request', `The multipart body cannot be read: ${err.message}`, { cause: err })
    }
    throw err
  }
  return found
}
