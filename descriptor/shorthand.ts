import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import { IsStandardObject } from '@sinclair/typebox/value'
import { Descriptor } from '../schemas/descriptor.js'
import { toName } from '../schemas/primitives.js'
import { NAME_PARTS } from './name.js'

type Fields = Record<string, unknown>

/** Defaults of required fields that users may leave out. */
const defaults: Pick<Descriptor, 'api_version' | 'image_runtime'> = { api_version: 'v0.1', image_runtime: 'docker' }

/**
 * A copy without blank optional fields: users may leave a field blank to give no value. A field that the schema allows
 * to be null stays.
 */
export function withoutBlanks (given: Fields, schema: TObject = Descriptor): Fields {
  const kept: Fields = {}
  for (const [key, value] of Object.entries(given)) {
    const property: TSchema | undefined = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    if (property && mayBeOmitted(property) && isBlank(value)) continue
    kept[key] = property && KindGuard.IsObject(property) && IsStandardObject(value)
      ? withoutBlanks(value, property)
      : value
  }
  return kept
}

function mayBeOmitted (property: TSchema): boolean {
  return KindGuard.IsOptional(property) && !isNullable(property)
}

function isNullable (property: TSchema): boolean {
  return KindGuard.IsUnion(property) && property.anyOf.some(branch => KindGuard.IsNull(branch))
}

/** A copy with the defaults, the location as clusters have it, without a `job_name` that only repeats the names. */
export function withDefaults (given: Fields): Fields {
  const { job_name: name, ...rest } = given
  const parts = NAME_PARTS.map(part => given[part])
  // Joins only strings: an object in place of a name could have its own toString.
  const repeats = parts.every(part => typeof part === 'string') && name === parts.join('.')
  const candidate = repeats ? rest : { ...given }
  for (const [field, value] of Object.entries(defaults)) {
    if (isBlank(candidate[field])) candidate[field] = value
  }
  const { cluster_location: location } = candidate
  if (typeof location === 'string') candidate.cluster_location = toName(location)
  return candidate
}

/** `node` and `requirements.node`, if both are given and differ. */
export function nodesDiffer ({ node: outer, requirements }: Fields): { outer: string, inner: string } | undefined {
  const inner = IsStandardObject(requirements) ? requirements.node : undefined
  return typeof outer === 'string' && typeof inner === 'string' && outer !== inner ? { outer, inner } : undefined
}

/** Sets both `node` and `requirements.node`, which mean the same (contract section 6), if one is given. */
export function fillNode (descriptor: Descriptor): Descriptor {
  const node = descriptor.node ?? descriptor.requirements?.node
  return node === undefined ? descriptor : { ...descriptor, node, requirements: { ...descriptor.requirements, node } }
}

function isBlank (value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
