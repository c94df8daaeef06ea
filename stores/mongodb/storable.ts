/** A name that a BSON field cannot have, or that MongoDB before 5.0 refuses. */
const REFUSED = /^\$|\0/

/**
 * A value from JSON as MongoDB can store it: fields with names that it refuses are left out.
 */
export function storable (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => !REFUSED.test(name)).map(([name, inner]) => [name, storable(inner)])
  )
}

/**
 * The fields of an object as those of a document. A name with a dot would be taken for a path in an update, an empty
 * one for a mistake.
 */
export function storableFields (fields: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(fields).filter(([name]) => name !== '' && !name.includes('.'))
  return storable(Object.fromEntries(kept)) as Record<string, unknown>
}
