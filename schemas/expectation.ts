import type { ValueError } from '@sinclair/typebox/errors'

/** What a schema expected of a value, in words; where it may be one thing or another, with all of them. */
export function expectation ({ path, message, errors }: ValueError): string {
  const variants = errors.flatMap(variant => variant.First() ?? [])
  if (variants.length === 0) return message.charAt(0).toLowerCase() + message.slice(1)
  // A variant may fail further in: then it has to say where.
  const said = variants.map(variant =>
    (variant.path === path ? '' : `${dotted(variant.path)}: `) + expectation(variant)
  )
  return [...new Set(said)].join(', or ')
}

/** A JSON pointer as people write it, `jobs.0.status`. */
export function dotted (pointer: string): string {
  return pointer.slice(1).replaceAll('/', '.')
}
