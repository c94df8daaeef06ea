import { ApiError } from '../../../schemas/errors.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { checkDescriptor, type Finding } from './check.js'
import { jobName } from './name.js'
import { fieldName, MAX_VIOLATIONS, placeOf, positionsIn, summary } from './places.js'
import { plainTree } from './plain.js'
import { parseYaml } from './parse.js'
import { fillNode, nodesDiffer, withDefaults, withoutBlanks } from './shorthand.js'
import { kindOf } from './wording.js'

export { jobName }

/** Longest descriptor that is taken, in bytes of the request. Whoever receives the bytes enforces it. */
export const MAX_DESCRIPTOR_BYTES = 1024 * 1024

/** More advice than this is not read; the violations are all there. */
const MAX_HINTS = 5

/**
 * Reads a deployment descriptor (contract section 6) from YAML 1.2 or JSON and completes its shorthand:
 * blank optional fields are dropped, defaults set, `node` and `requirements.node` made the same.
 * Unknown fields stay as they are, in their order. Values behind a YAML alias are shared, not copied.
 *
 * @throws ApiError `descriptor_missing` when there is nothing in the text, `descriptor_unreadable` when it is not one
 * safe mapping, `descriptor_invalid` when fields are wrong; the latter two list every violation, up to {@link MAX_VIOLATIONS},
 * with line and column where there is one.
 */
export function readDescriptor (text: string): Descriptor {
  // Positions are counted without the byte order mark, as editors show them.
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const { root, findings: oddities } = plainTree(source, parseYaml(source))

  const candidate = withDefaults(withoutBlanks(root.value))
  const { descriptor, findings } = checkDescriptor(candidate, (path) => {
    const span = placeOf(root, path)?.value
    return span ? source.slice(span.start, span.end) : undefined
  })

  // A number that is no number was found on the way through the tree; the schema would only say the same again.
  const odd = new Set(oddities.map(({ path }) => fieldName(path)))
  const all = [...oddities, ...findings.filter(({ path }) => !odd.has(fieldName(path)))]
  const clash = nodesDiffer(candidate)
  if (clash) all.push(differingNodes(clash))
  if (!descriptor || all.length > 0) throw invalid(all)
  return fillNode(descriptor)

  function differingNodes ({ outer, inner }: { outer: string, inner: string }): Finding {
    const { line } = positionsIn(source)(placeOf(root, ['requirements', 'node'])?.value.start ?? root.span.start)
    return {
      path: ['node'],
      message: `expected the same as requirements.node on line ${line}, ${kindOf(inner)}, got ${kindOf(outer)}`,
      hint: 'Both name the wanted worker: give one of them, or the same in both.'
    }
  }

  /** A missing field has no place: it is for its parent. A blank one has no value to point at, only its key. */
  function offsetOf ({ path }: Finding): number {
    const place = placeOf(root, path)
    if (!place) return (placeOf(root, path.slice(0, -1))?.key ?? root.span).start
    return place.value.end > place.value.start ? place.value.start : place.key.start
  }

  function invalid (found: Finding[]): ApiError {
    const positionOf = positionsIn(source)
    const inOrder = found.map((finding) => ({ ...finding, offset: offsetOf(finding) })).sort((a, b) => a.offset - b.offset)
    const violations = inOrder.slice(0, MAX_VIOLATIONS)
      .map(({ path, message, offset }) => ({ field: fieldName(path), message, ...positionOf(offset) }))
    const hints = inOrder.flatMap(({ path, hint }) => hint === undefined ? [] : [`${fieldName(path)}: ${hint}`]).slice(0, MAX_HINTS)
    return new ApiError('descriptor_invalid', summary(violations, found.length), {
      violations,
      ...(hints.length > 0 && { hint: hints.join(' ') })
    })
  }
}
