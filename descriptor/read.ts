import { MAX_SERVICES, type Descriptor } from '../schemas/descriptor.js'
import { ApiError } from '../schemas/errors.js'
import { checkDescriptor, type Finding } from './check.js'
import { invalid, type Defect } from './defects.js'
import { jobName, NAME_PARTS } from './name.js'
import { parseYaml } from './parse.js'
import { fieldName, positionOf, positionsIn, type Path, type PositionedTree } from './positions.js'
import { plainTrees } from './plain.js'
import { servicesOf, type Service } from './services.js'
import { fillNode, nodesDiffer, withDefaults, withoutBlanks } from './shorthand.js'
import { kindOf } from '../schemas/wording.js'

export { jobName }

/** Longest descriptor that is taken, in bytes of the request. Whoever receives the bytes enforces it. */
export const MAX_DESCRIPTOR_BYTES = 1024 * 1024

/** As {@link readDescriptors}, for a text that is to describe one service: several are `descriptor_invalid`. */
export function readDescriptor (text: string): Descriptor {
  const [descriptor, ...others] = readDescriptors(text)
  if (descriptor && others.length === 0) return descriptor
  throw new ApiError('descriptor_invalid', `expected one service, got ${others.length + 1}`, {
    hint: 'POST /api/v1/applications takes several.'
  })
}

/**
 * Reads deployment descriptors (contract section 6) from YAML 1.2 or JSON: of one service, of the services in a list
 * `microservices`, or of those in each of several YAML documents; at least one, in the order of the text. Completes
 * their shorthand: blank optional fields are dropped, defaults set, `node` and `requirements.node` made the same.
 * Unknown fields stay as they are, in their order. Values behind a YAML alias, or inherited, are shared, not copied.
 *
 * @throws ApiError `descriptor_missing` when there is nothing in the text, `descriptor_unreadable` when it is not made
 * of safe mappings, `descriptor_invalid` when fields are wrong, in whichever service; the latter two list every
 * violation, up to a bound, with line and column where there is one.
 */
export function readDescriptors (text: string): Descriptor[] {
  // Positions are counted without the byte order mark, as editors show them.
  const { source, documents } = parseYaml(text.startsWith('\uFEFF') ? text.slice(1) : text)
  const { trees, oddities } = plainTrees(source, documents)

  const descriptors: Descriptor[] = []
  // One defect per field: what is inherited by many services is wrong once, and a number that is no number was found
  // on the way through the tree.
  const defects = new Map(oddities.map(defect => [keyOf(defect), defect]))
  const told = (tree: PositionedTree, findings: readonly Finding[]) => {
    for (const { path, ...finding } of findings) {
      const defect = { ...finding, path, offset: offsetOf(tree, path) }
      if (!defects.has(keyOf(defect))) defects.set(keyOf(defect), defect)
    }
  }
  let positionOf: ReturnType<typeof positionsIn> | undefined
  const lineOf = (offset: number) => (positionOf ??= positionsIn(source))(offset).line
  const claims = createClaims(lineOf)
  let count = 0
  for (const tree of trees) {
    const { services, findings } = servicesOf(tree)
    told(tree, findings)
    count += services.length
    if (count > MAX_SERVICES) {
      throw invalid(source, [{
        offset: tree.span.start,
        message: `expected at most ${MAX_SERVICES} services in all, got ${count} up to here`,
        hint: 'Deploy them in several files.'
      }])
    }
    for (const service of services) {
      const { descriptor, findings } = readService(source.text, lineOf, tree, service)
      const inDocument = (finding: Finding) => ({ ...finding, path: service.pathOf(finding.path) })
      told(tree, [...findings, ...claims(service.fields, path => offsetOf(tree, service.pathOf(path)))].map(inDocument))
      if (descriptor) descriptors.push(descriptor)
    }
  }
  if (defects.size > 0) throw invalid(source, [...defects.values()])
  return descriptors
}

/** Gives the descriptor only when nothing is wrong with it; the findings have the paths of the service. */
function readService (
  text: string,
  lineOf: (offset: number) => number,
  tree: PositionedTree,
  { fields, pathOf }: Service
): { descriptor?: Descriptor, findings: Finding[] } {
  const candidate = withDefaults(withoutBlanks(fields))
  const { descriptor, findings } = checkDescriptor(candidate, path => {
    const span = positionOf(tree, pathOf(path))?.value
    return span ? text.slice(span.start, span.end) : undefined
  })
  const clash = nodesDiffer(candidate)
  if (clash) {
    const line = lineOf(offsetOf(tree, pathOf(['requirements', 'node'])))
    findings.push({
      path: ['node'],
      message: `expected the same as requirements.node on line ${line}, ${kindOf(clash.inner)}, got ` +
        `${kindOf(clash.outer)}`,
      hint: 'Both name the wanted worker: give one of them, or the same in both.'
    })
  }
  return descriptor && !clash ? { descriptor: fillNode(descriptor), findings } : { findings }
}

/** Watches that no two services of a text have the same name, or wish for the same address. */
function createClaims (
  lineOf: (offset: number) => number
): (fields: Record<string, unknown>, offsetOf: (path: Path) => number) => Finding[] {
  const taken = new Map<string, number>()
  return (fields, offsetOf) => {
    const name = NAME_PARTS.every(part => typeof fields[part] === 'string')
      ? NAME_PARTS.map(part => fields[part]).join('.')
      : undefined
    const claimed: Array<[string, unknown, string]> = [['service_name', name, 'a name of its own'], [
      'RR_ip',
      fields.RR_ip || undefined,
      'an address of its own'
    ]]
    return claimed.flatMap(([field, value, expected]) => {
      if (typeof value !== 'string') return []
      const claim = `${field} ${value}`
      const first = taken.get(claim)
      if (first === undefined) {
        taken.set(claim, offsetOf([field]))
        return []
      }
      return [{
        path: [field],
        message: `expected ${expected}: ${value.slice(0, 300)} is that of the service on line ${lineOf(first)} already`
      }]
    })
  }
}

/** A missing field has no place: it is for its parent. A blank one has no value to point at, only its key. */
function offsetOf (tree: PositionedTree, path: Path): number {
  const position = positionOf(tree, path)
  if (!position) return (positionOf(tree, path.slice(0, -1))?.key ?? tree.span).start
  return position.value.end > position.value.start ? position.value.start : position.key.start
}

function keyOf ({ offset, path = [] }: Defect): string {
  return `${offset} ${fieldName(path)}`
}
