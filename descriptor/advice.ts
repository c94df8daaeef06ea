import { Descriptor } from '../schemas/descriptor.js'
import { KindGuard, type TSchema } from '@sinclair/typebox'
import { NAME_PARTS } from './name.js'

/** Units of memory as people write them, in MB (contract section 6). */
const MEMORY_UNITS: Record<string, number> = { k: 1 / 1024, m: 1, g: 1024, t: 1024 * 1024 }

/** Most unknown fields that are compared with a missing one. */
const MAX_COMPARED = 200

/** Most edits between the name of a field and a typing error for it. */
const MAX_EDITS = 2

/** Longest name of a field that has to be hit more closely. */
const SHORT = 5

const names: ReadonlySet<string> = new Set(NAME_PARTS)

/** How to fix a wrong value, one sentence; undefined where the violation is enough. */
export function adviceFor (field: string, value: unknown, source: string | undefined): string | undefined {
  if (names.has(field) && typeof value === 'string') return nameAdvice(value)
  if (field === 'requirements.cpu') return cpuAdvice(value)
  if (field === 'requirements.memory') return memoryAdvice(value)
  if (field === 'replicas') return replicasAdvice(value)
  if (field === 'port') return portAdvice(value)
  if (isScalarValue(value) && typeof value !== 'string' && expectsString(field)) {
    return `Put quotes around it to make it a string: ${JSON.stringify(source ?? String(value))}.`
  }
  return undefined
}

/** A question if an unknown field looks like the missing one, mistyped; else undefined. */
export function similarField (missing: string, unknown: readonly string[]): string | undefined {
  const expected = simplified(missing)
  const near = unknown.slice(0, MAX_COMPARED)
    .map(key => ({ key, edits: editDistance(expected, simplified(key), MAX_EDITS) }))
    .filter(({ edits }) => edits <= MAX_EDITS)
    .sort((a, b) => a.edits - b.edits)[0]
  return near && `There is a field ${JSON.stringify(near.key)}: did you mean ${missing}?`
}

/** What users of other tools write for a field of ours. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map(Object.entries({
  env: 'environment',
  envs: 'environment',
  command: 'cmd',
  resources: 'requirements',
  cpu: 'requirements.cpu',
  memory: 'requirements.memory',
  location: 'cluster_location',
  instances: 'replicas',
  'requirements.cpus': 'requirements.cpu',
  'requirements.vcpus': 'requirements.cpu',
  'requirements.mem': 'requirements.memory',
  'requirements.ram': 'requirements.memory'
}))

/** The fields of a descriptor by the path of the object that they are in, "" for the outermost one. */
const OWN_FIELDS: ReadonlyMap<string, readonly string[]> = new Map(Object.entries({
  '': Object.keys(Descriptor.properties),
  requirements: Object.keys(Descriptor.properties.requirements.properties),
  rollout: Object.keys(Descriptor.properties.rollout.properties)
}))

/** The field that is probably meant by one that is not known; undefined if it resembles none. */
export function similarOwnField (parent: string, unknown: string): string | undefined {
  const full = (key: string) => parent === '' ? key : `${parent}.${key}`
  const other = OTHER_WORDS.get(full(simplified(unknown)))
  if (other !== undefined) return other
  const near = (OWN_FIELDS.get(parent) ?? []).find(own => {
    const edits = editDistance(simplified(own), simplified(unknown), 1)
    // Another letter makes another word of a short one: a "mode" is no "node".
    return edits === 0 || (edits === 1 && (own.length > SHORT || own.length !== unknown.length))
  })
  return near && full(near)
}

function nameAdvice (name: string): string | undefined {
  if (name.includes('.')) return 'A dot would break the job name, whose parts are joined by dots; use "-" instead.'
  if (/\s/.test(name)) return 'Use "-" instead of spaces.'
  return undefined
}

function cpuAdvice (value: unknown): string | undefined {
  const [, digits, unit] = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(m?)/.exec(value) ?? [] : []
  if (digits === undefined) return undefined
  return `Write cores as a number, without quotes or a unit: ${unit === 'm' ? Number(digits) / 1000 : Number(digits)}.`
}

function memoryAdvice (value: unknown): string | undefined {
  const [, digits, unit] = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)/i.exec(value) ?? [] : []
  if (digits === undefined || unit === undefined) return undefined
  return `Write MB as a number, without quotes or a unit: ${Number(digits) * (MEMORY_UNITS[unit.toLowerCase()] ?? 1)}.`
}

function replicasAdvice (value: unknown): string | undefined {
  if (
    typeof value === 'number' && value < 0
  ) {
    return 'Write 0 to run no instance for now; delete the job to remove the service.'
  }
  if (typeof value === 'string' && /^\d+$/.test(value)) return `Write it without quotes: ${Number(value)}.`
  return undefined
}

function portAdvice (value: unknown): string | undefined {
  if (Array.isArray(value)) return 'Write several ports in one text: "6080:80/tcp;7000:70/udp".'
  if (
    typeof value === 'string' && /[^\d:]/.test(value)
  ) {
    return 'Write the port as 80, or as "8080:80" for a port of the host, or several as "6080:80/tcp;7000:70/udp".'
  }
  return undefined
}

function isScalarValue (value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

/** Whether the schema expects a string at `field`, in dot notation. */
function expectsString (field: string): boolean {
  let schema: TSchema | undefined = Descriptor
  for (const key of field.split('.')) schema = schema && KindGuard.IsObject(schema) ? schema.properties[key] : undefined
  return schema !== undefined && KindGuard.IsString(schema)
}

/** Letter case and the separator are the most common slips, and do not count as edits. */
function simplified (field: string): string {
  return field.toLowerCase().replaceAll(/[-\s.]/g, '_')
}

/**
 * Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment); some number
 * above `limit` if there are more than that.
 */
function editDistance (a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swapped = isSwap ? (before[column - 2] ?? 0) + 1 : Infinity
      current.push(Math.min(replaced, swapped, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    before = previous
    previous = current
  }
  return previous[b.length] ?? 0
}
