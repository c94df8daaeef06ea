import { Type, type SchemaOptions, type Static, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'

/** Id of a cluster or a job: 24 hexadecimal digits, like a printed ObjectId of MongoDB (contract section 1). */
export const HexId = Type.String({
  pattern: '^[0-9a-f]{24}$',
  description: 'an id of 24 hexadecimal digits',
  examples: ['65a1b2c3d4e5f60718293a4b']
})

/** A point in time: ISO 8601 in UTC, milliseconds. */
export const Timestamp = Type.String({ description: 'ISO 8601, UTC', examples: ['2026-01-31T12:00:00.000Z'] })

/**
 * Text on one line: no control characters, no halves of surrogate pairs, and none that change the direction of what
 * stands beside it, so that it looks like another name; something besides spaces.
 */
export const ONE_LINE =
  '^(?=.*\\S)(?:[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]|' +
  '[\\ud800-\\udbff][\\udc00-\\udfff])*$'

/** The one form of a name that may be written in several ways: Unicode's NFC (UAX #15), without spaces around it. */
export function toName (text: string): string {
  return text.normalize('NFC').trim()
}

/** Dotted IPv4 address. */
const Ipv4 = Type.String({
  pattern: '^((25[0-5]|2[0-4]\\d|1?\\d?\\d)(\\.(?!$)|$)){4}$',
  description: 'an IPv4 address',
  examples: ['172.30.0.1']
})

const ipv4 = TypeCompiler.Compile(Ipv4)
const hexId = TypeCompiler.Compile(HexId)
export const isIpv4 = (value: unknown): value is string => ipv4.Check(value)
export const isHexId = (value: unknown): value is string => hexId.Check(value)

/**
 * Upper bound of every quantity from a peer (cores, MB, workers). No real value comes near it, and sums of ten thousand
 * of them stay exact integers.
 */
export const MAX_QUANTITY = 1_000_000_000

/** A finite number of something, 0 to {@link MAX_QUANTITY}. NaN and infinities are refused. */
export const Quantity = (options: SchemaOptions = {}) => Type.Number({ minimum: 0, maximum: MAX_QUANTITY, ...options })

/** A whole number of something, 0 to {@link MAX_QUANTITY}. */
export const Count = (options: SchemaOptions = {}) => Type.Integer({ minimum: 0, maximum: MAX_QUANTITY, ...options })

/** A port, 0 to 65535, from a number or digits; null for anything else, which is no port that is known. */
export function toPort (value: unknown): number | null {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^\d{1,5}$/.test(text) && Number(text) <= 65535 ? Number(text) : null
}

/** The schema or null: older cluster managers send null for what they do not know (contract section 2). */
export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/**
 * A string from a fixed list; its type is the union of the members. TypeBox checks `pattern`; OpenAPI readers and
 * generated clients use `enum`.
 */
export const OneOf = <T extends string>(values: readonly T[], options: SchemaOptions = {}) =>
  Type.Unsafe<T>(Type.String({ ...options, enum: [...values], pattern: `^(${values.join('|')})$` }))

/** The value of a stored JSON text. The error never repeats the text: that may be shown to anyone. */
export function parseStored (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new Error('it is not JSON', { cause: err })
  }
}

/**
 * Makes a function that returns a value of the shape of `schema`, and throws an Error for any other, which says where
 * the value differs.
 * @param what What the value should be, with an article: "a job".
 */
export function shapeOf<T extends TSchema> (schema: T, what: string): (value: unknown) => Static<T> {
  const compiled = TypeCompiler.Compile(schema)
  return value => {
    if (compiled.Check(value)) return value
    const { path = '', message = '' } = compiled.Errors(value).First() ?? {}
    throw new Error(`it is not ${what}: ${path} ${message}`)
  }
}
