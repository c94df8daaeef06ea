import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import { Descriptor } from '../schemas/descriptor.js'
import { similarOwnField } from './advice.js'
import type { Finding } from './check.js'
import type { Path } from './positions.js'

/** White space that looks like indentation, and is part of a key: what is copied from a web page may have it. */
const ODD_SPACE = /[^\S \t\r\n]|\u200b/u

/** Longest value that is quoted, in characters. */
const MAX_SHOWN = 40

const NAMES: Readonly<Record<string, string>> = { '\u00a0': 'a no-break space', '\u3000': 'an ideographic space' }

/** The first odd space of a text, in words: `a no-break space (U+00A0)`; undefined where there is none. */
export function oddSpaceIn (text: string): string | undefined {
  const [found] = ODD_SPACE.exec(text) ?? []
  if (found === undefined) return undefined
  const code = found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  return `${NAMES[found] ?? 'a space of another kind'} (U+${code})`
}

/** The first line of a text that is indented with an odd space, which has which one; undefined where there is none. */
export function oddIndentation (text: string): { offset: number, space: string } | undefined {
  const found = /^[ \t]*(?:[^\S \t\r\n]|\u200b)/mu.exec(text)
  return found ? { offset: found.index, space: oddSpaceIn(found[0])! } : undefined
}

/** A finding about a field that is taken nevertheless. */
export interface Doubt extends Finding {
  /** It is about the name of the field, not about its value. */
  isAboutName: boolean
}

/**
 * What a descriptor says that its author may not have meant, though it can be deployed: unknown fields are passed on,
 * since clusters may know them (contract section 6). Paths are relative to the service.
 * @param sourceOf The text of a value as written.
 */
export function doubtsAbout (
  fields: Record<string, unknown>,
  sourceOf: (path: Path) => string | undefined
): Doubt[] {
  const doubts: Doubt[] = []
  lookInto(fields, [], Descriptor)
  return doubts

  function lookInto (value: object, path: Path, schema: TObject | undefined): void {
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, Array.isArray(value) ? Number(key) : key]
      const isKnown = schema !== undefined && Object.hasOwn(schema.properties, key)
      const known: TSchema | undefined = isKnown ? schema.properties[key] : undefined
      const message = Array.isArray(value) ? undefined : doubtAboutName(path, key, schema !== undefined && !isKnown)
      if (message !== undefined) doubts.push({ path: at, message, isAboutName: true })
      const inner = known && KindGuard.IsObject(known) ? known : undefined
      if (known && !KindGuard.IsUnknown(known) && !inner) continue
      if (typeof member === 'object' && member !== null) lookInto(member, at, inner)
      else if (typeof member === 'number' || typeof member === 'boolean') compare(at, member)
    }
  }

  /** An alias is written as its anchor, where the doubt was told. */
  function compare (path: Path, value: number | boolean): void {
    const source = sourceOf(path)
    if (source === undefined || source === String(value) || source.startsWith('*')) return
    const kind = typeof value === 'number' ? `the number ${value}` : String(value)
    const written = source.length > MAX_SHOWN ? `${source.slice(0, MAX_SHOWN)}…` : source
    const message = `this was read as ${kind}: put quotes around it to keep ${JSON.stringify(written)}`
    doubts.push({ path, message, isAboutName: false })
  }
}

/** In the middle of a name that is not one of ours, such a space may be meant. */
function doubtAboutName (parent: Path, key: string, isUnknown: boolean): string | undefined {
  const [start = ''] = /^\s*/.exec(key) ?? []
  const space = oddSpaceIn(isUnknown ? key : start + key.slice(key.trimEnd().length))
  if (space !== undefined) return `the name of the field has ${space}: indent and separate with ordinary spaces`
  const meant = isUnknown ? similarOwnField(parent.join('.'), key) : undefined
  return meant && `there is no such field, and it is passed on as it is: did you mean ${meant}?`
}

/** A file that other tools read, and the field that shows it. */
export interface OtherKind {
  what: string
  key: string
  hint: string
}

/** What a file is that is no descriptor; undefined where that cannot be told. @param has Whether it has this field. */
export function otherKindOf (has: (key: string) => boolean): OtherKind | undefined {
  if (['app_name', 'api_version', 'microservices'].some(has)) return undefined
  const hint = 'Write each service as a descriptor, or all as its list microservices: docs/descriptor.md shows how.'
  if (has('apiVersion') && has('kind')) return { what: 'a Kubernetes manifest', key: 'apiVersion', hint }
  const sla = ['sla_version', 'applications'].find(has)
  if (sla) return { what: 'an Oakestra SLA', key: sla, hint }
  return has('services') ? { what: 'a Docker Compose file', key: 'services', hint } : undefined
}
