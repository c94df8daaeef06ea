import { ApiError } from '../schemas/errors.js'
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
  const violations = violationsOf(source, defects.map(defect => ({ ...defect, message: shortened(defect.message) })))
  const hint = defects.find(defect => defect.hint !== undefined)?.hint
  return new ApiError('descriptor_unreadable', summary(violations, found), {
    violations,
    ...(hint !== undefined && { hint })
  })
}

/** `descriptor_invalid`, for a text that can be read but has wrong fields. Lists them in the order of the text. */
export function invalid (source: Source, defects: readonly Defect[]): ApiError {
  const inOrder = [...defects].sort((a, b) => a.offset - b.offset)
  const violations = violationsOf(source, inOrder)
  const hints = inOrder.flatMap(({ path = [], hint }) =>
    hint === undefined ? [] : path.length === 0 ? [hint] : [`${fieldName(path)}: ${hint}`]
  )
    .slice(0, MAX_HINTS)
  return new ApiError('descriptor_invalid', summary(violations, defects.length), {
    violations,
    ...(hints.length > 0 && { hint: hints.join(' ') })
  })
}

function violationsOf (source: Source, defects: readonly Defect[]) {
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
