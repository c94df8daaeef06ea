import { KindGuard, type TSchema } from '@sinclair/typebox'

/** Longest string that is repeated in a message, in characters. */
const MAX_SHOWN = 40

/** What a value is, in words: `the string "lots"`, `a list`, `nothing`. */
export function kindOf (value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'string') {
    if (value === '') return 'an empty string'
    return `the string ${JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)}`
  }
  if (typeof value === 'number') {
    return Number.isFinite(value)
      ? `the number ${value}`
      : `the non-finite number ${value}`
  }
  if (typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? 'a list' : 'a mapping'
}

/** What a schema asks for, in words; of several bounds it names the one that `value` breaks. */
export function expectationOf (schema: TSchema, value: unknown): string {
  if (KindGuard.IsNumber(schema) || KindGuard.IsInteger(schema)) {
    const kind = KindGuard.IsInteger(schema) ? 'a whole number' : 'a number'
    if (
      schema.maximum !== undefined && typeof value === 'number' && value > schema.maximum
    ) {
      return `${kind} of at most ${schema.maximum}`
    }
    return schema.minimum === undefined ? kind : `${kind} of at least ${schema.minimum}`
  }
  if (KindGuard.IsObject(schema)) return 'a mapping'
  // No words can be had from a pattern or a union: their descriptions in the schema are worded to stand here.
  if (KindGuard.IsUnion(schema) || (KindGuard.IsString(schema) && schema.pattern !== undefined)) return ruleOf(schema)
  if (KindGuard.IsString(schema)) {
    return `a string of ${schema.minLength ?? 0} to ${schema.maxLength ?? 'any number of'} characters`
  }
  return ruleOf(schema)
}

/** The rule in a description such as `Application name: 1 to 63 letters`, else the description as a noun. */
function ruleOf ({ description = 'a valid value' }: TSchema): string {
  const colon = description.indexOf(': ')
  return colon === -1 ? `a ${description.charAt(0).toLowerCase()}${description.slice(1)}` : description.slice(colon + 2)
}
