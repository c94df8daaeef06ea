import { ApiError } from '../../../schemas/errors.js'
import { fieldName, MAX_VIOLATIONS, positionsIn, summary, type Path } from './places.js'

/** Something that makes the text unfit to be read at all. `offset` is in UTF-16 units. */
export interface Defect {
  offset: number
  message: string
  path?: Path
  hint?: string | undefined
}

/** Longest message that is passed on; the parser quotes the text it stumbles over, however long. */
const MAX_MESSAGE_LENGTH = 200

/** The error for a text with these defects, of which there is at least one; `found` counts those that were not even gathered. */
export function unreadable (text: string, defects: readonly Defect[], found = defects.length): ApiError {
  const positionOf = positionsIn(text)
  const violations = defects.slice(0, MAX_VIOLATIONS).map(({ offset, message, path = [] }) => ({
    field: fieldName(path),
    message: message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH)}…` : message,
    ...positionOf(offset)
  }))
  const hint = defects.find((defect) => defect.hint !== undefined)?.hint
  return new ApiError('descriptor_unreadable', summary(violations, found), {
    violations,
    ...(hint !== undefined && { hint })
  })
}
