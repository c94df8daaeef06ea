import { KindGuard, type TSchema } from '@sinclair/typebox'
import type { ValueError } from '@sinclair/typebox/errors'

/** How violations of a schema are worded: in bodies, frames, descriptors and answers of the Cloud Scheduler. */

/** Longest string quoted in a message, in characters. */
const MAX_SHOWN = 40

/**
 * What a cluster wrote about a failure, as one clean line: the last one that says something, since of a traceback that
 * one says why.
 * @param most Characters of it.
 */
export function reasonIn (text: string, most = 500): string {
  const lines = text.split(/[\r\n\u2028\u2029]+/).map(line => line.replace(/[\s\p{C}]+/gu, ' ').trim())
  const last = lines.findLast(line => line !== '') ?? ''
  return [...last].slice(0, most).join('')
}

/** A value in words: `the string "lots"`, `a list`, `nothing`. */
export function kindOf (value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'string') {
    if (value === '') return 'an empty string'
    return `the string ${JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)}`
  }
  if (typeof value === 'number') {
    return Number.isFinite(value) ? `the number ${value}` : `the non-finite number ${value}`
  }
  if (typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? 'a list' : 'an object'
}

/** The expectation of a schema in words. Of several bounds it names the one that `value` breaks. Never a pattern. */
export function expectationOf (schema: TSchema, value: unknown): string {
  if (KindGuard.IsNumber(schema) || KindGuard.IsInteger(schema)) {
    const kind = KindGuard.IsInteger(schema) ? 'a whole number' : 'a number'
    if (schema.maximum !== undefined && typeof value === 'number' && value > schema.maximum) {
      return `${kind} of at most ${schema.maximum}`
    }
    return schema.minimum === undefined ? kind : `${kind} of at least ${schema.minimum}`
  }
  if (KindGuard.IsNull(schema)) return 'null'
  if (KindGuard.IsBoolean(schema)) return 'true or false'
  if (KindGuard.IsLiteral(schema)) return JSON.stringify(schema.const)
  if (KindGuard.IsArray(schema)) return listOf(schema, value)
  // A phrase such as "an id of 24 hexadecimal digits" says more than the structure of the schema.
  if (isPhrase(schema.description)) return schema.description!
  if (KindGuard.IsObject(schema) || KindGuard.IsRecord(schema)) return 'an object'
  if (KindGuard.IsUnion(schema) && !hasRule(schema)) {
    return [...new Set(schema.anyOf.map(variant => expectationOf(variant, value)))].join(' or ')
  }
  if (KindGuard.IsString(schema)) {
    if (Array.isArray(schema.enum)) return `one of ${schema.enum.join(', ')}`
    if (schema.pattern === undefined) {
      const { minLength = 0, maxLength } = schema
      if (maxLength !== undefined) return `a string of ${minLength} to ${maxLength} characters`
      return minLength > 0 ? 'a string that is not empty' : 'a string'
    }
  }
  // A pattern cannot be put into words: the descriptions of such schemas are written to fit here.
  return ruleOf(schema)
}

/** A complaint about a value, such as `expected a whole number of at least 0, got the string "lots"`. */
export function complaintOf (error: ValueError): string {
  const { path, message } = locatedComplaint(error)
  return path === error.path ? message : `${dotted(path.slice(error.path.length))}: ${message}`
}

/**
 * A complaint, and the JSON pointer of the value that it is about. For a union, that is the nearest variant: one in
 * which a part is wrong, not the whole value; or all in which a part is missing.
 */
export function locatedComplaint (error: ValueError): { path: string, message: string } {
  const { path, schema, value, errors, message } = error
  const parts = errors.flatMap(variant => [...variant].find(error => error.path !== path) ?? [])
  const wrong = parts.find(part => part.value !== undefined)
  if (wrong) return locatedComplaint(wrong)
  if (parts.length > 0) {
    const complaints = parts.map(part => `${dotted(part.path.slice(path.length))}: ${complaintOf(part)}`)
    return { path, message: [...new Set(complaints)].join(' or ') }
  }
  if (message === 'Unexpected property') return { path, message: `expected no such field, got ${kindOf(value)}` }
  const expected = expectationOf(schema, value)
  const got = value === undefined ? 'but it is missing' : `got ${kindOf(value)}`
  return { path, message: `expected ${expected}, ${got}` }
}

/** A JSON pointer in dot notation: `jobs.0.status`. */
export function dotted (pointer: string): string {
  return pointer.slice(1).replaceAll('/', '.')
}

function listOf ({ minItems = 0, maxItems = Infinity }: TSchema, value: unknown): string {
  const isTooLong = Array.isArray(value) && value.length > maxItems
  if (minItems > 0 && !isTooLong) return `a list of at least ${minItems === 1 ? 'one' : minItems}`
  return maxItems === Infinity ? 'a list' : `a list of at most ${maxItems}`
}

const isPhrase = (description = '') => /^(an?|the) /.test(description)

const hasRule = ({ description }: TSchema): boolean => description?.includes(': ') ?? false

/** The part after the colon of a description such as `Application name: 1 to 63 letters`; else the whole, as a noun. */
function ruleOf ({ description = 'a valid value' }: TSchema): string {
  if (isPhrase(description)) return description
  const colon = description.indexOf(': ')
  return colon === -1 ? `a ${description.charAt(0).toLowerCase()}${description.slice(1)}` : description.slice(colon + 2)
}

/** "1 cluster", "3 clusters". */
export function count (n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** A time in a sentence, in UTC to the second: unlike a duration it stays true. @param ms Unix milliseconds. */
export function instant (ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
