import { Kind, Type, TypeRegistry, type SchemaOptions } from '@sinclair/typebox'
import { parse } from 'secure-json-parse'
import { ApiError } from './errors.js'

/** Rules for JSON from outside. They are checked on its text: no code recurses over a value that is too deep. */

/** Most levels of objects and arrays within each other that any JSON from outside may have. */
export const MAX_LEVELS = 63

/** What a field may hold whose content is not ours. */
const FREE_FORM = { levels: 32, bytes: 64 * 1024 } as const

const OF_A_FREE_FORM = `at most ${FREE_FORM.levels} levels of objects and arrays, ${FREE_FORM.bytes / 1024} KiB as JSON`

const QUOTE = 0x22
const BACKSLASH = 0x5C
/** The bit by which "[" and "{", "]" and "}" differ. */
const BRACE = 0x20
const OPENING = 0x7B
const CLOSING = 0x7D

/** Whether a JSON text has more levels of objects and arrays within each other. Linear, and stops where it is so. */
export function isDeeperThan (levels: number, text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const mark = text.charCodeAt(at)
    if (mark === QUOTE) at = endOfString(text, at)
    else if ((mark | BRACE) === OPENING) {
      if (++depth > levels) return true
    } else if ((mark | BRACE) === CLOSING) depth--
  }
  return false
}

/** Index of the quote that ends the string which begins at `start`; that of the end of the text if none does. */
function endOfString (text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}

/** The value of a JSON text from outside. `json_invalid` for one that is too deep, unsafe (`__proto__`) or not JSON. */
export function parseJson (text: string): unknown {
  if (isDeeperThan(MAX_LEVELS, text)) {
    throw new ApiError(
      'json_invalid',
      `The body is not valid JSON: expected at most ${MAX_LEVELS} levels of objects and arrays`
    )
  }
  try {
    return parse(text)
  } catch (cause) {
    throw new ApiError('json_invalid', `The body is not valid JSON: ${(cause as Error).message}`, { cause })
  }
}

/** Whether a field whose content is not ours may hold this value. */
export function isFreeForm (value: unknown): boolean {
  if (value === undefined || value === null) return true
  try {
    const text = JSON.stringify(value) ?? ''
    return Buffer.byteLength(text) <= FREE_FORM.bytes && !isDeeperThan(FREE_FORM.levels, text)
  } catch {
    // It is so deep that the stack does not suffice.
    return false
  }
}

TypeRegistry.Set('FreeForm', (_schema, value) => isFreeForm(value))

/** Any JSON that {@link isFreeForm}. */
export const FreeForm = (options: SchemaOptions = {}) =>
  Type.Unsafe<unknown>({ description: `JSON: ${OF_A_FREE_FORM}`, ...options, [Kind]: 'FreeForm' })

/** Why a heartbeat's field was dropped. @param field Its name. */
export function freeFormWarning (field: string): string {
  return `${field}: expected ${OF_A_FREE_FORM}; it was left out`
}
