import { ApiError } from '../../schemas/errors.js'

/**
 * Result codes of SQLite for trouble around it (disk, locks, memory, file), not for a mistake in a statement:
 * BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, AUTH, NOTADB.
 */
const OUTAGES: ReadonlySet<number | undefined> = new Set([5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 22, 23, 26])

const SQLITE_BUSY = 5

/** The primary result code of an error of SQLite, undefined for any other error. */
function resultCode (err: unknown): number | undefined {
  const code = err instanceof Error ? (err as { errcode?: unknown }).errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

/** True when another connection holds the lock. */
export function isBusy (err: unknown): boolean {
  return resultCode(err) === SQLITE_BUSY
}

/** An outage of the database as `store_unavailable`; everything else, a mistake of ours included, as it is. */
export function asStoreFailure (err: unknown): unknown {
  if (!OUTAGES.has(resultCode(err))) return err
  return new ApiError('store_unavailable', `The embedded database failed: ${(err as Error).message}`, { cause: err })
}

/** What is asked of a store that is closed or closing. */
export function closingError (): ApiError {
  return new ApiError('shutting_down', 'The database is closed')
}
