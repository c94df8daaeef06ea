import { MAX_SERVICES, type Descriptor } from '../schemas/descriptor.js'
import { ApiError, type Violation } from '../schemas/errors.js'
import { checkDescriptor, type Finding } from './check.js'
import { invalid, notADescriptor, violationsOf, type Defect } from './defects.js'
import { jobName, NAME_PARTS } from './name.js'
import { parseYaml } from './parse.js'
import { fieldName, MAX_VIOLATIONS, positionOf, positionsIn, type Path, type PositionedTree } from './positions.js'
import { plainTrees } from './plain.js'
import { servicesOf, type Service } from './services.js'
import { fillNode, nodesDiffer, withDefaults, withoutBlanks } from './shorthand.js'
import { doubtsAbout, oddSpaceIn, otherKindOf } from './warnings.js'
import { kindOf } from '../schemas/wording.js'

export { jobName }

/** Longest descriptor accepted, in bytes. plugins/descriptor-body.ts enforces it. */
export const MAX_DESCRIPTOR_BYTES = 1024 * 1024

/** Largest descriptor of one service, bytes as JSON. The job document carries it wherever it goes. */
const MAX_SERVICE_BYTES = 256 * 1024

/** A service as its descriptor says, and what its author may not have meant. */
export interface ReadService {
  descriptor: Descriptor
  warnings: Violation[]
}

export const toDescriptor = ({ descriptor }: ReadService): Descriptor => descriptor

/** {@link readServices} for a text with exactly one service: several are `descriptor_invalid`. */
export function readService (text: string): ReadService {
  const [service, ...others] = readServices(text)
  if (service && others.length === 0) return service
  throw new ApiError('descriptor_invalid', `expected one service, got ${others.length + 1}`, {
    hint: 'POST /api/v1/applications takes several.'
  })
}

/**
 * Reads deployment descriptors (contract section 6) from YAML 1.2 or JSON: of one service, of the services in a list
 * `microservices`, or of those in each of several YAML documents. Returns at least one, in the order of the text.
 * Completes their shorthand: drops blank optional fields, sets defaults, makes `node` and `requirements.node` equal.
 * Unknown fields stay as they are, in their order. Aliased and inherited values are shared, not copied.
 * A warning about an inherited field is given once, with the first service that inherits it.
 *
 * @throws ApiError `descriptor_missing` for an empty text, `descriptor_unreadable` for a text that does not consist of
 * safe mappings, `descriptor_invalid` for wrong fields in any service. The latter two list every violation, up to a
 * bound, with line and column where known.
 */
export function readServices (text: string): ReadService[] {
  // Positions are counted without the byte order mark, as editors show them.
  const { source, documents } = parseYaml(text.startsWith('\uFEFF') ? text.slice(1) : text)
  const { trees, oddities } = plainTrees(source, documents)

  const read: Array<{ descriptor: Descriptor, doubts: Defect[] }> = []
  const causes: Defect[] = []
  const doubted = new Set<string>()
  // One defect per field: an inherited field is wrong once, not in each service, and an oddity comes before findings.
  const defects = new Map(oddities.map(defect => [keyOf(defect), defect]))
  const add = (tree: PositionedTree, findings: readonly Finding[]) => {
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
    add(tree, findings)
    count += services.length
    if (count > MAX_SERVICES) {
      throw invalid(source, [{
        offset: tree.span.start,
        message: `expected at most ${MAX_SERVICES} services in all, got ${count} up to here`,
        hint: 'Deploy them in several files.'
      }])
    }
    for (const service of services) {
      const { descriptor, findings } = checkService(source.text, lineOf, tree, service)
      const inDocument = (finding: Finding) => ({ ...finding, path: service.pathOf(finding.path) })
      add(tree, [...findings, ...claims(service.fields, path => offsetOf(tree, service.pathOf(path)))].map(inDocument))
      const doubts = doubtsAbout(service.fields, path => textOf(source.text, tree, service.pathOf(path)))
        .map(({ path, message, isAboutName }) => {
          const inTree = service.pathOf(path)
          return { path: inTree, message, offset: (isAboutName ? nameOffset : offsetOf)(tree, inTree) }
        })
        .sort((a, b) => a.offset - b.offset)
        // What is inherited or repeated by an alias stands in one place.
        .filter(({ offset, message }) => {
          const known = doubted.size
          return doubted.add(`${offset} ${message}`).size > known
        })
      causes.push(...doubts.filter(({ path }) => oddSpaceIn(String(path.at(-1))) !== undefined))
      if (descriptor) read.push({ descriptor, doubts })
    }
    const other = defects.size > 0 ? otherKindOf(key => Object.hasOwn(tree.value, key)) : undefined
    if (other) throw invalid(source, [notADescriptor(other, nameOffset(tree, [other.key]))])
  }
  if (defects.size > 0) throw invalid(source, [...defects.values()], causes)
  let room = MAX_VIOLATIONS
  return read.map(({ descriptor, doubts }) => {
    const warnings = violationsOf(source, doubts.slice(0, room))
    room -= warnings.length
    return { descriptor, warnings }
  })
}

/** Returns the descriptor only if there are no findings. Their paths are relative to the service. */
function checkService (
  text: string,
  lineOf: (offset: number) => number,
  tree: PositionedTree,
  { fields, pathOf }: Service
): { descriptor?: Descriptor, findings: Finding[] } {
  const candidate = withDefaults(withoutBlanks(fields))
  const { descriptor, findings } = checkDescriptor(candidate, path => textOf(text, tree, pathOf(path)))
  const size = Buffer.byteLength(JSON.stringify(candidate))
  if (size > MAX_SERVICE_BYTES) {
    findings.push({
      path: [],
      message: `expected at most ${MAX_SERVICE_BYTES / 1024} KiB as JSON, got ${Math.ceil(size / 1024)} KiB`,
      hint: 'Put large values where the service can load them from.'
    })
  }
  const clash = nodesDiffer(candidate)
  if (clash) {
    const line = lineOf(offsetOf(tree, pathOf(['requirements', 'node'])))
    findings.push({
      path: ['node'],
      message: `expected the same as requirements.node on line ${line}, ${kindOf(clash.inner)}, got ` +
        `${kindOf(clash.outer)}`,
      hint: 'Both name the worker node: set one of them, or both to the same value.'
    })
  }
  return descriptor && findings.length === 0 ? { descriptor: fillNode(descriptor), findings } : { findings }
}

/** Makes a function that finds services with the same name or the same requested address as an earlier one. */
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
        message: `expected ${expected}: the service on line ${lineOf(first)} already has ${value.slice(0, 300)}`
      }]
    })
  }
}

/** A missing field has the position of its parent. A blank field has no value, only the position of its key. */
function offsetOf (tree: PositionedTree, path: Path): number {
  const position = positionOf(tree, path)
  if (!position) return (positionOf(tree, path.slice(0, -1))?.key ?? tree.span).start
  return position.value.end > position.value.start ? position.value.start : position.key.start
}

function nameOffset (tree: PositionedTree, path: Path): number {
  return positionOf(tree, path)?.key.start ?? offsetOf(tree, path)
}

/** A value as it is written; undefined where it is not in the text. */
function textOf (text: string, tree: PositionedTree, path: Path): string | undefined {
  const span = positionOf(tree, path)?.value
  return span && text.slice(span.start, span.end)
}

function keyOf ({ offset, path = [] }: Defect): string {
  return `${offset} ${fieldName(path)}`
}
