import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import type { FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { complaintOf } from '../schemas/wording.js'

/**
 * Checks requests by their TypeBox schemas, and says of each field what was expected. Parts of the address are text and
 * are converted; bodies have types of their own and are not: `"4"` is not 4 there, and null not 0.
 */
export default fp(async function validation (app) {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = TypeCompiler.Compile(schema)
    return (given: unknown) => {
      const value = httpPart === 'body' ? given : Value.Convert(schema, given)
      if (check.Check(value)) return { value }
      const violations = new Map<string, FastifySchemaValidationError>()
      for (const error of check.Errors(value)) {
        // The first complaint about a field is the one that the others follow from.
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
