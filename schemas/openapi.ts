import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { catalogue, Problem, type ErrorCode } from './errors.js'

/** Parts of route schemas that only the OpenAPI document uses: named components, error answers, texts. */

/** A reference to a schema with `$id`, a named component of the OpenAPI document. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/** A plain text answer. */
export const text = (description: string, example: string) => ({
  description,
  content: { 'text/plain': { schema: Type.String({ examples: [example] }) } }
})

/** A JSON answer. */
export const json = <T extends TSchema>(description: string, schema: T) => ({
  description,
  content: { 'application/json': { schema } }
})

/** Query of a list. */
export const Limit = Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Most items per page' })

/** Query of a request that undeploys something. */
export const Undeployment = Type.Object({
  force: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'true: UNDEPLOYED at once, and its addresses are free, though its clusters have not confirmed'
    })
  )
}, { additionalProperties: false })

/** Error answers under /api/v1, by their codes. */
export const problems = (...codes: ErrorCode[]) =>
  errorAnswers(codes, {
    'application/problem+json': { schema: ref(Problem) }
  })

/** Error answers under /api: plain text, or a problem if the client prefers JSON. */
export const textErrors = (...codes: ErrorCode[]) =>
  errorAnswers(codes, {
    'text/plain': {
      schema: Type.String({ examples: ['job_not_found: There is no job demo.default.service1.test\n'] })
    },
    'application/problem+json': { schema: ref(Problem) }
  })

/** @param codes Those of the operation itself; what any operation may answer is added. */
function errorAnswers (codes: ErrorCode[], content: Record<string, { schema: TSchema }>) {
  const all: ErrorCode[] = [...codes, 'internal_error', 'store_unavailable', 'request_expired']
  if (codes.includes('job_not_found')) all.push('job_unreadable')
  if (codes.includes('cluster_not_found')) all.push('cluster_unreadable')
  const byStatus: Record<number | 'default', { description: string, content: typeof content }> = {
    // Errors before the route is reached: a URL, headers or a body that cannot be read, or come too late.
    default: { description: 'Another error of the catalogue at /docs/errors', content }
  }
  for (const code of all) {
    const { status, title } = catalogue[code]
    const line = `\`${code}\`: ${title}`
    const answer = byStatus[status]
    if (answer) answer.description += `\n\n${line}`
    else byStatus[status] = { description: line, content }
  }
  return byStatus
}
