import { LineCounter } from 'yaml'
import type { Violation } from '../schemas/errors.js'

/** Part of the text, in UTF-16 units from its start; `end` is exclusive. */
export interface Span {
  start: number
  end: number
}

/** Where a member of a mapping or a list stands. A list has no keys: there `key` is the value's span. */
export interface Position {
  key: Span
  value: Span
}

/** Keys and indexes from the root to a field. */
export type Path = ReadonlyArray<string | number>

/** The text of a descriptor, and the offsets at which its YAML documents begin: empty while that is not known. */
export interface Source {
  text: string
  documents: readonly number[]
}

/**
 * A descriptor as plain data, and where its members came from. Plain data has no room for places, so they stand beside
 * it.
 */
export interface PositionedTree {
  value: Record<string, unknown>
  span: Span
  /** Places of the members of each mapping and list in `value`. */
  positions: WeakMap<object, Map<string | number, Position>>
}

/** Most violations that are listed; a file that is wrong throughout must not make an answer of megabytes. */
export const MAX_VIOLATIONS = 50

/** Longest key that is repeated in a message, in characters. */
const MAX_KEY_SHOWN = 64

/** Where a field stands, undefined when it was not in the text. */
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

/** A path as people write it: `requirements.cpu`, `volumes[0]`, `environment["a b"]`. */
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
 * Finds line and column of offsets, both from 1; the column counts UTF-16 units, as most editors do. Where there are
 * several YAML documents, their number from 1 too. The lines are counted once, since a megabyte of them takes its time.
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
 * The first violation as a sentence, for whoever sees only the detail of the error; `found` counts those beyond the
 * list too.
 */
export function summary (violations: readonly Violation[], found: number): string {
  const [first] = violations
  if (!first) return 'Nothing is known about what is wrong'
  const where = first.line === undefined
    ? ''
    : `${first.document === undefined ? 'Line' : `Document ${first.document}, line`} ${first.line}, column ` +
      `${first.column ?? 1}: `
  const what = first.field === '' ? first.message : `${first.field}: ${first.message}`
  return `${where}${what}${found > 1 ? ` (and ${found - 1} more)` : ''}`
}
