import { ApiError } from '../schemas/errors.js'
import { oddIndentation, otherKindOf, type OtherKind } from './warnings.js'
import { fieldName, MAX_VIOLATIONS, positionsIn, summary, type Path, type Source } from './positions.js'

/** A mistake in the text. `offset` is in UTF-16 units. Without a path, it is about the whole text. */
export interface Defect {
  offset: number
  message: string
  path?: Path
  hint?: string | undefined
}

/** Longest message that is passed on, in characters: the parser quotes text of any length. */
const MAX_MESSAGE_LENGTH = 200

/** Most hints that are given. The violations are listed beyond that. */
const MAX_HINTS = 5

/**
 * `descriptor_unreadable`, for a text that cannot be read.
 * @param defects At least one.
 * @param found How many there are in all, including those not in `defects`.
 */
export function unreadable (source: Source, defects: readonly Defect[], found = defects.length): ApiError {
  const all = [...causesIn(source.text, defects), ...defects]
  const violations = violationsOf(source, all.map(defect => ({ ...defect, message: shortened(defect.message) })))
  const hint = all.find(defect => defect.hint !== undefined)?.hint
  return new ApiError('descriptor_unreadable', summary(violations, found + all.length - defects.length), {
    violations,
    ...(hint !== undefined && { hint })
  })
}

/** What a text that cannot be read suffers from, rather than from the defects that the parser found. */
function causesIn (text: string, defects: readonly Defect[]): Defect[] {
  // Merge keys and tags, which other tools know, hide what a file is.
  const outermost = new Map(
    [...text.matchAll(/^["']?(\w+)["']?:(?=\s)/gm)].map(({ 1: key = '', index }) => [key, index])
  )
  const other = /\bapp_name\b/.test(text) ? undefined : otherKindOf(key => outermost.has(key))
  if (other) return [notADescriptor(other, outermost.get(other.key) ?? 0)]
  const odd = oddIndentation(text)
  // What is wrong after a line that only looks indented may well follow from it.
  if (!odd || defects.every(({ offset }) => offset < odd.offset)) return []
  const hint = 'Indent with ordinary spaces.'
  return [{ offset: odd.offset, message: `the line is indented with ${odd.space}`, hint }]
}

/** The defect of a text that is something else. */
export function notADescriptor ({ what, hint }: OtherKind, offset: number): Defect {
  return { offset, message: `this is ${what}, not a deployment descriptor`, hint }
}

/**
 * `descriptor_invalid`, for a text that can be read but has wrong fields. Lists them in the order of the text.
 * @param causes What the others may follow from: they are listed first.
 */
export function invalid (source: Source, defects: readonly Defect[], causes: readonly Defect[] = []): ApiError {
  const inOrder = [...causes, ...[...defects].sort((a, b) => a.offset - b.offset)]
  const violations = violationsOf(source, inOrder)
  const hints = inOrder.flatMap(({ path = [], hint }) =>
    hint === undefined ? [] : path.length === 0 ? [hint] : [`${fieldName(path)}: ${hint}`]
  )
    .slice(0, MAX_HINTS)
  return new ApiError('descriptor_invalid', summary(violations, inOrder.length), {
    violations,
    ...(hints.length > 0 && { hint: hints.join(' ') })
  })
}

/** What is wrong with fields, in the form of answers. */
export function violationsOf (source: Source, defects: readonly Defect[]) {
  const positionOf = positionsIn(source)
  return defects.slice(0, MAX_VIOLATIONS).map(({ offset, message, path = [] }) => ({
    field: fieldName(path),
    message,
    ...positionOf(offset)
  }))
}

function shortened (message: string): string {
  return message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH)}…` : message
}
