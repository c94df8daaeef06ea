import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Descriptor } from '../schemas/descriptor.js'
import { adviceFor, similarField } from './advice.js'
import { fieldName, type Path } from './positions.js'
import { expectationOf, kindOf } from '../schemas/wording.js'

/** A mistake in a field of one service. */
export interface Finding {
  path: Path
  message: string
  hint?: string | undefined
}

const shape = TypeCompiler.Compile(Descriptor)

/** The rule for one port. The schema cannot apply it to the parts of `"8080:80"`. */
const [portNumber, portString] = Descriptor.properties.port.anyOf
const onePort = TypeCompiler.Compile(portNumber)
const portText = TypeCompiler.Compile(portString)

/** Fields of the job document (contract section 7) that users must not set. */
const SYSTEM_FIELDS = ['_id', 'job_name', 'status', 'service_ip_list', 'instance_list', 'system_manager']

/**
 * Checks a descriptor after its shorthand was completed. Returns the descriptor only if there are no findings.
 * @param sourceOf The text of a field as written, for advice that quotes it.
 */
export function checkDescriptor (
  candidate: Record<string, unknown>,
  sourceOf: (path: Path) => string | undefined
): { descriptor?: Descriptor, findings: Finding[] } {
  const findings = [...systemFields(candidate), ...ports(candidate), ...standstill(candidate)]
  if (!shape.Check(candidate)) findings.push(...shapeFindings(candidate, sourceOf, findings))
  else if (findings.length === 0) return { descriptor: candidate, findings }
  return { findings }
}

/** One finding per field: the other complaints of the schema follow from the first. */
function shapeFindings (
  candidate: Record<string, unknown>,
  sourceOf: (path: Path) => string | undefined,
  known: Finding[]
): Finding[] {
  const seen = new Set(known.map(({ path }) => fieldName(path)))
  const unknown = Object.keys(candidate).filter(key => !Object.hasOwn(Descriptor.properties, key))
  const findings: Finding[] = []
  for (const { path: pointer, schema, value } of shape.Errors(candidate)) {
    const path = pointer.split('/').slice(1)
    const field = fieldName(path)
    if (seen.has(field)) continue
    seen.add(field)
    const expected = expectationOf(schema, value)
    if (value === undefined) {
      findings.push({
        path,
        message: `expected ${expected}, but the field is missing`,
        hint: similarField(field, unknown)
      })
    } else {
      findings.push({
        path,
        message: `expected ${expected}, got ${kindOf(value)}`,
        hint: adviceFor(field, value, sourceOf(path))
      })
    }
  }
  return findings
}

function ports ({ port }: Record<string, unknown>): Finding[] {
  const parts = typeof port === 'number'
    ? [port]
    : typeof port === 'string' && portText.Check(port) && port !== ''
      ? port.split(/[;:]/).map(part => Number(part.split('/', 1)[0]))
      : []
  if (parts.every(part => onePort.Check(part))) return []
  const range = `${portNumber.minimum ?? 0} to ${portNumber.maximum ?? Infinity}`
  return [{
    path: ['port'],
    message: `expected each port to be a whole number from ${range}, got ${kindOf(port)}`,
    hint: adviceFor('port', port, undefined)
  }]
}

/** An update that may neither stop an instance nor start an additional one could never begin. */
function standstill ({ rollout }: Record<string, unknown>): Finding[] {
  const { max_unavailable: unavailable, max_surge: surge = 0 } = (rollout ?? {}) as Record<string, unknown>
  if (unavailable !== 0 || surge !== 0) return []
  return [{
    path: ['rollout', 'max_unavailable'],
    message: 'expected at least 1 here or in max_surge: an update could never begin',
    hint: 'Leave it out, or set max_surge.'
  }]
}

function systemFields (candidate: Record<string, unknown>): Finding[] {
  return SYSTEM_FIELDS.filter(field => Object.hasOwn(candidate, field)).map(field => ({
    path: [field],
    message: field === 'job_name'
      ? `expected no job_name, or the four names joined by dots, got ${kindOf(candidate.job_name)}: the System ` +
        'Manager sets it'
      : `expected no ${field}: the System Manager sets it`
  }))
}
