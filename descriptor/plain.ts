import { isAlias, isMap, isPair, isScalar, isSeq, type Pair, type ParsedNode, type YAMLMap, type YAMLSeq } from 'yaml'
import { unreadable, type Defect } from './defects.js'
import { MAX_DEPTH, type FilledDocument } from './parse.js'
import type { Position, PositionedTree, Source, Span } from './positions.js'
import { kindOf } from '../schemas/wording.js'

/** Keys that could reach the prototype of an object that the data is copied into. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Most characters that repetitions, such as aliases, may add to a text: enough for any file written by hand, too few
 * for an alias bomb.
 */
export const MAX_REPEATED = 1024 * 1024

/** Characters that a mapping, list or number counts besides its text, so that a bomb of empty lists counts too. */
const NODE_COST = 16

/** A value, its size in characters when written out, and the levels of nesting in it. */
interface Built {
  value: unknown
  size: number
  height: number
}

/**
 * Turns documents into plain data with the position of each member. Numbers that JSON cannot represent, and text that
 * UTF-8 cannot, are returned as oddities, since each belongs to a field.
 *
 * @throws ApiError `descriptor_unreadable` for duplicate, forbidden or merge keys, for aliases that are undefined,
 * recursive or expand too far, for too deep nesting, and for documents that are not a mapping
 */
export function plainTrees (
  source: Source,
  documents: readonly FilledDocument[]
): { trees: PositionedTree[], oddities: Defect[] } {
  const positions: PositionedTree['positions'] = new WeakMap()
  const anchors = new Map<string, Built | 'open'>()
  const defects: Defect[] = []
  const oddities: Defect[] = []
  const path: Array<string | number> = []
  let aliased = 0

  const trees = documents.map(({ contents }) => {
    anchors.clear()
    if (isMap(contents)) {
      return { value: build(contents, 1).value as Record<string, unknown>, span: spanOf(contents), positions }
    }
    defects.push(notAMapping(contents))
    return { value: {}, span: spanOf(contents), positions }
  })
  if (defects.length > 0) throw unreadable(source, defects)
  return { trees, oddities }

  function build (node: ParsedNode | null, depth: number): Built {
    if (isAlias(node)) return follow(node.source, spanOf(node), depth)
    const anchor = node?.anchor
    if (anchor) anchors.set(anchor, 'open')
    const built = isMap(node) || isSeq(node) ? collection(node, depth) : scalar(node)
    if (anchor) anchors.set(anchor, built)
    return built
  }

  function follow (name: string, span: Span, depth: number): Built {
    const target = anchors.get(name)
    if (target === undefined || target === 'open') {
      spoil(
        span,
        target
          ? `the alias *${name} is inside the value that it repeats`
          : `there is no anchor &${name} before the alias *${name}`
      )
      return { value: null, size: NODE_COST, height: 0 }
    }
    if (depth + target.height - 1 > MAX_DEPTH) throw unreadable(source, [tooDeep(span)])
    aliased += target.size
    if (aliased > MAX_REPEATED) {
      throw unreadable(source, [{
        offset: span.start,
        path,
        message: 'the aliases up to here would expand the descriptor beyond 1 MiB'
      }])
    }
    return target
  }

  function collection (node: YAMLMap.Parsed | YAMLSeq.Parsed, depth: number): Built {
    if (depth > MAX_DEPTH) throw unreadable(source, [tooDeep(spanOf(node))])
    const value: Record<string, unknown> | unknown[] = isMap(node) ? {} : []
    const members = new Map<string | number, Position>()
    positions.set(value, members)
    let size = NODE_COST
    let height = 0
    node.items.forEach((item, index) => {
      const [key, keySpan, child] = isPair(item) ? keyOf(item) : [index, undefined, item]
      path.push(key)
      if (isPair(item)) checkKey(item.key, members)
      const built = build(child, depth + 1)
      const span = child ? spanOf(child) : keySpan ?? spanOf(node)
      members.set(key, { key: keySpan ?? span, value: child ? span : { start: span.end, end: span.end } })
      if (Array.isArray(value)) value.push(built.value)
      else if (!FORBIDDEN_KEYS.has(String(key))) value[key] = built.value
      path.pop()
      size += built.size + (keySpan ? String(key).length : 0)
      height = Math.max(height, built.height)
    })
    return { value, size, height: height + 1 }
  }

  function checkKey (node: ParsedNode, siblings: ReadonlyMap<string | number, Position>): void {
    const span = spanOf(node)
    const key = keyText(node)
    const plain = isScalar(node) && node.type === 'PLAIN'
    if (siblings.has(key)) spoil(span, `the key ${JSON.stringify(key)} is a duplicate`)
    if (plain && key === '') spoil(span, 'a key is missing before the ":"')
    if (plain && key === '<<') {
      spoil(
        span,
        'merge keys (<<) are not part of YAML 1.2',
        'Write out the fields, or repeat a whole value with an alias.'
      )
    }
    if (FORBIDDEN_KEYS.has(key)) spoil(span, `the key ${key} is not allowed anywhere`)
    if (isBroken(key)) spoil(span, 'a key must not contain NUL or half of a surrogate pair')
  }

  function scalar (node: ParsedNode | null): Built {
    const value: unknown = isScalar(node) ? node.value : null
    if (typeof value === 'string') {
      if (isBroken(value)) find(node, 'expected text without NUL and without half of a surrogate pair')
      return { value, size: value.length, height: 0 }
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      find(node, `expected a number that JSON can hold, got ${kindOf(value)}`)
    } else if (isScalar(node) && isRounded(value, node.source)) {
      find(
        node,
        `expected a number that can be kept digit for digit, got one that would become ${String(value)}`,
        'Put quotes around it to keep every digit.'
      )
    }
    return { value, size: NODE_COST, height: 0 }
  }

  function spoil (span: Span, message: string, hint?: string): void {
    defects.push({ offset: span.start, message, hint, path: [...path] })
  }

  function find (node: ParsedNode | null, message: string, hint?: string): void {
    oddities.push({ offset: node ? spanOf(node).start : 0, path: [...path], message, hint })
  }

  function tooDeep (span: Span): Defect {
    return { offset: span.start, message: `more than ${MAX_DEPTH} levels of nesting are too deep` }
  }

  function notAMapping (contents: ParsedNode): Defect {
    const kind = isScalar(contents) ? kindOf(contents.value) : 'a list'
    const written = source.text.trim()
    // The usual cause of a single word: curl -F file=deploy.yaml, without the @, sends the name of the file.
    const hint = isScalar(contents) && /^\S+\.(ya?ml|json)$/.test(written)
      ? `This is the name of a file, not its content. With curl, write -F file=@${written.slice(0, 100)}`
      : undefined
    return {
      offset: spanOf(contents).start,
      hint,
      message: `expected a mapping of fields, like "app_name: demo", got ${kind}`
    }
  }
}

function keyOf ({ key, value }: Pair<ParsedNode, ParsedNode | null>): [string, Span, ParsedNode | null] {
  return [keyText(key), spanOf(key), value]
}

/** The parser has refused keys other than scalars. */
function keyText (node: ParsedNode): string {
  return isScalar(node) ? String(node.value ?? '') : ''
}

function spanOf (node: ParsedNode): Span {
  const [start, end] = node.range
  return { start, end }
}

/**
 * True for a whole number that would be stored with other digits than those written: an account number, for example,
 * must not change.
 */
function isRounded (value: unknown, source = ''): boolean {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^[-+]?\d+$/.test(source)) return false
  return String(value) !== source && BigInt(value) !== BigInt(source)
}

/**
 * True for text with NUL, which ends strings in some programs downstream, or with a lone surrogate, which UTF-8 cannot
 * represent.
 */
function isBroken (text: string): boolean {
  return text.includes('\0') || /\p{Surrogate}/u.test(text)
}
