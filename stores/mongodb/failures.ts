import { MongoBulkWriteError, MongoError, MongoInvalidArgumentError, MongoServerError } from 'mongodb'
import { ApiError } from '../../schemas/errors.js'

const DUPLICATE_KEY = 11000

/** True when a write would have given a unique index the same key twice. */
export function isDuplicateKey (err: unknown): boolean {
  return err instanceof MongoServerError && err.code === DUPLICATE_KEY
}

/**
 * Positions of those writes of a batch that a unique index refused. Throws the error itself when anything else went
 * wrong besides.
 */
export function duplicatesOf (err: unknown): number[] {
  if (!(err instanceof MongoBulkWriteError) || err.result.getWriteConcernError()) throw err
  const failed = [err.writeErrors].flat()
  if (failed.some(({ code }) => code !== DUPLICATE_KEY)) throw err
  return failed.map(({ index }) => index)
}

/**
 * Codes of the server for a mistake in what was sent, or for data that contradict an index. Nearly all its other errors
 * mean that it cannot serve for now: not primary, shutting down, no majority, not authorised, disk full.
 */
const MISTAKES: ReadonlySet<unknown> = new Set([
  2,
  9,
  14,
  28,
  40,
  52,
  57,
  72,
  85,
  86,
  10334,
  17280,
  17419,
  DUPLICATE_KEY
])

/** True when the database is at fault, or the way to it; false for a mistake of ours. */
export function isOutage (err: unknown): boolean {
  if (err instanceof MongoServerError) return !MISTAKES.has(err.code)
  return err instanceof MongoError && !(err instanceof MongoInvalidArgumentError)
}

/** An outage of the database as `store_unavailable`; everything else as it is. */
export function asStoreFailure (err: unknown): unknown {
  return isOutage(err)
    ? new ApiError('store_unavailable', `The database failed: ${(err as Error).message}`, { cause: err })
    : err
}
