import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import type { FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { complaintOf } from '../schemas/wording.js'

/**
 * Checks requests against their TypeBox schemas and reports what was expected of each field. Path parameters, query and
 * headers are text and are converted. Bodies have types and are not converted: `"4"` is not 4 there, and null is not 0.
 */
export default fp(async function validation (app) {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = TypeCompiler.Compile(schema)
    return (given: unknown) => {
      const value = httpPart === 'body' ? given : Value.Convert(schema, given)
      if (check.Check(value)) return { value }
      const violations = new Map<string, FastifySchemaValidationError>()
      for (const error of check.Errors(value)) {
        // The other complaints about a field follow from the first.
        if (violations.has(error.path)) continue
        violations.set(error.path, {
          instancePath: error.path,
          message: complaintOf(error),
          keyword: 'schema',
          schemaPath: '',
          params: {}
        })
      }
      return { error: [...violations.values()] }
    }
  })
}, { name: 'validation' })
