import { LineCounter } from 'yaml'
import type { Violation } from '../schemas/errors.js'

/** Part of the text: offsets in UTF-16 units, `end` exclusive. */
export interface Span {
  start: number
  end: number
}

/** Position of a member of a mapping or a list. In a list, `key` is the span of the value. */
export interface Position {
  key: Span
  value: Span
}

/** Keys and indexes from the root to a field. */
export type Path = ReadonlyArray<string | number>

/** The text of a descriptor, and the offsets at which its YAML documents begin: empty while these are unknown. */
export interface Source {
  text: string
  documents: readonly number[]
}

/** A descriptor as plain data, with the positions of its members beside it. */
export interface PositionedTree {
  value: Record<string, unknown>
  span: Span
  /** Positions of the members of each mapping and list in `value`. */
  positions: WeakMap<object, Map<string | number, Position>>
}

/** Most violations listed in an answer: a file that is wrong throughout must not cause an answer of megabytes. */
export const MAX_VIOLATIONS = 50

/** Longest key quoted in a message, in characters. */
const MAX_KEY_SHOWN = 64

/** Position of a field; undefined if it is not in the text. */
export function positionOf (tree: PositionedTree, path: Path): Position | undefined {
  let parent: unknown = tree.value
  let position: Position | undefined
  for (const step of path) {
    if (typeof parent !== 'object' || parent === null) return undefined
    position = tree.positions.get(parent)?.get(step)
    if (!position) return undefined
    parent = (parent as Record<string | number, unknown>)[step]
  }
  return position
}

/** A path in the notation of messages: `requirements.cpu`, `volumes[0]`, `environment["a b"]`. */
export function fieldName (path: Path): string {
  return path.map((step, depth) => {
    if (typeof step === 'number') return `[${step}]`
    if (!/^[\w-]+$/.test(step) || step.length > MAX_KEY_SHOWN) {
      return `[${JSON.stringify(step.slice(0, MAX_KEY_SHOWN))}]`
    }
    return depth === 0 ? step : `.${step}`
  }).join('')
}

/**
 * Makes a function that finds the line and column of an offset, both from 1; the column counts UTF-16 units, as most
 * editors do. If there are several YAML documents, it adds their number, from 1. Lines are counted once per text.
 */
export function positionsIn (
  { text, documents }: Source
): (offset: number) => Pick<Violation, 'document' | 'line' | 'column'> & { line: number } {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) lines.addNewLine(end + 1)
  return offset => {
    const { line, col: column } = lines.linePos(offset)
    return {
      ...(documents.length > 1 && { document: documents.filter(start => start <= offset).length }),
      line,
      column
    }
  }
}

/**
 * The first violation as one sentence, for clients that show only the detail of an error.
 * @param found How many there are in all, including those that are not listed.
 */
export function summary (violations: readonly Violation[], found: number): string {
  const [first] = violations
  if (!first) return 'The reason is unknown'
  const where = first.line === undefined
    ? ''
    : `${first.document === undefined ? 'Line' : `Document ${first.document}, line`} ${first.line}, column ` +
      `${first.column ?? 1}: `
  const what = first.field === '' ? first.message : `${first.field}: ${first.message}`
  return `${where}${what}${found > 1 ? ` (and ${found - 1} more)` : ''}`
}
