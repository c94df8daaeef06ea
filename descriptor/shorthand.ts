import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import { IsStandardObject } from '@sinclair/typebox/value'
import { Descriptor } from '../schemas/descriptor.js'
import { NAME_PARTS } from './name.js'

type Fields = Record<string, unknown>

/** Fields that may be left out although the descriptor always has them. */
const defaults: Pick<Descriptor, 'api_version' | 'image_runtime'> = { api_version: 'v0.1', image_runtime: 'docker' }

/**
 * A copy without the optional fields that are left blank ("leave it blank" is how users are told to give no value).
 * A field that may be null by the schema keeps it.
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

/** A copy with the defaults, and without a `job_name` that only repeats what the names say. */
export function withDefaults (given: Fields): Fields {
  const { job_name: name, ...rest } = given
  const parts = NAME_PARTS.map(part => given[part])
  // Only strings are joined: an object in the place of a name may have a toString of its own.
  const repeats = parts.every(part => typeof part === 'string') && name === parts.join('.')
  const candidate = repeats ? rest : { ...given }
  for (const [field, value] of Object.entries(defaults)) {
    if (isBlank(candidate[field])) candidate[field] = value
  }
  return candidate
}

/** The two names of the wanted node, when both are given and not the same. */
export function nodesDiffer ({ node: outer, requirements }: Fields): { outer: string, inner: string } | undefined {
  const inner = IsStandardObject(requirements) ? requirements.node : undefined
  return typeof outer === 'string' && typeof inner === 'string' && outer !== inner ? { outer, inner } : undefined
}

/** `node` and `requirements.node` mean the same (contract section 6): the one given fills the other. */
export function fillNode (descriptor: Descriptor): Descriptor {
  const node = descriptor.node ?? descriptor.requirements?.node
  return node === undefined ? descriptor : { ...descriptor, node, requirements: { ...descriptor.requirements, node } }
}

function isBlank (value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
