import { KindGuard, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { IsObject, Value } from '@sinclair/typebox/value'
import type { FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { locatedComplaint } from '../schemas/wording.js'

/**
 * Checks requests against their TypeBox schemas and reports what was expected of each field. Path parameters, query and
 * headers are text and are converted; a list in a query may also be one text, with commas. Bodies have types and are
 * not converted: `"4"` is not 4 there, and null is not 0.
 */
export default fp(async function validation (app) {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = TypeCompiler.Compile(schema)
    return (given: unknown) => {
      const split = httpPart === 'querystring' ? withLists(schema, given) : given
      const value = httpPart === 'body' ? given : Value.Convert(schema, split)
      if (check.Check(value)) return { value }
      const violations = new Map<string, FastifySchemaValidationError>()
      for (const error of check.Errors(value)) {
        // The other complaints about a field follow from the first.
        if (violations.has(error.path)) continue
        const { path, message } = locatedComplaint(error)
        violations.set(error.path, {
          instancePath: path,
          message,
          keyword: 'schema',
          schemaPath: '',
          params: {}
        })
      }
      return { error: [...violations.values()] }
    }
  })
}, { name: 'validation' })

/** `status=FAILED,DEAD` as `status=FAILED&status=DEAD`. */
function withLists (schema: TSchema, given: unknown): unknown {
  if (!KindGuard.IsObject(schema) || !IsObject(given)) return given
  const listOf = (name: string, value: unknown): unknown => {
    const property: TSchema | undefined = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (!property || !KindGuard.IsArray(property)) return value
    return [value].flat().flatMap(text => String(text).split(',').map(part => part.trim()))
  }
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, listOf(name, value)]))
}
