import {
  MongoBulkWriteError,
  MongoError,
  MongoInvalidArgumentError,
  MongoNotConnectedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
  MongoWriteConcernError
} from 'mongodb'
import { ApiError } from '../../schemas/errors.js'

const DUPLICATE_KEY = 11000
const WRITE_CONFLICT = 112

/** True when a write of one document would have given a unique index the same key twice. */
export function isDuplicateKey (err: unknown): boolean {
  return hasCode(err, DUPLICATE_KEY)
}

/** True when another write got in the way of this one at the same moment: nothing was done, and it may be repeated. */
export function isWriteConflict (err: unknown): boolean {
  return hasCode(err, WRITE_CONFLICT)
}

function hasCode (err: unknown, code: number): boolean {
  const cause = causeOf(err)
  return cause instanceof MongoServerError && !(cause instanceof MongoBulkWriteError) && cause.code === code
}

/** What the driver threw. */
function causeOf (err: unknown): unknown {
  return err instanceof ApiError ? err.cause : err
}

/** True when the server said so: it is there, whatever it said. */
export function isAnswer (err: unknown): boolean {
  return err instanceof MongoServerError && !(err instanceof MongoBulkWriteError && err.code === undefined)
}

/** True when there was no server to ask, or no connection to it became free. */
export function isUnreachable (err: unknown): boolean {
  return err instanceof MongoServerSelectionError ||
    (err instanceof MongoError && err.name === 'MongoWaitQueueTimeoutError')
}

/** True when the client of the driver is closed, and stays so until it is opened again. */
export function isClientClosed (err: unknown): boolean {
  return err instanceof MongoNotConnectedError || err instanceof MongoTopologyClosedError
}

/** True when one server has done a write, and cannot promise that it stays: it counts as not done. */
export function isUnsafe (err: unknown): boolean {
  const cause = causeOf(err)
  if (cause instanceof MongoBulkWriteError) return cause.result.getWriteConcernError() !== undefined
  return cause instanceof MongoWriteConcernError
}

/** Why a statement of a batch was not done; of a `duplicate` a unique index says so. */
export type Refusal = 'duplicate' | 'conflict' | { failed: unknown }

/** What a failed batch says of its statements. */
export interface BatchFailure {
  /** What the server said of this one; what is true of all of them when it said nothing. */
  of (index: number): Refusal | undefined
  /** True when the command failed as a whole: whether the server has done any of it is not known. */
  isWhole: boolean
  /** True when nothing of it counts as done: see {@link isUnsafe}. */
  isUnsafe: boolean
  /** True when the command failed as a whole, and that for something that concerns one of its statements. */
  isMistake: boolean
  error: unknown
}

/**
 * Throws what is no failure of a batch as it is.
 *
 * The driver gives every failure of a batch the same class. One without `writeErrors` is a failure of the command, such
 * as a connection that was cut: it says of no statement that it was done.
 */
export function batchFailure (err: unknown): BatchFailure {
  const cause = causeOf(err)
  if (!(cause instanceof MongoBulkWriteError)) throw err
  const told = new Map([cause.writeErrors].flat().map(each => [each.index, refusalOf(each.code, err)]))
  const ofAll = told.size === 0 || isUnsafe(err) ? refusalOf(cause.code, err) : undefined
  return {
    of: index => told.get(index) ?? ofAll,
    isWhole: told.size === 0,
    isUnsafe: isUnsafe(err),
    isMistake: told.size === 0 && isMistake(cause),
    error: err
  }
}

function refusalOf (code: unknown, err: unknown): Refusal {
  if (code === DUPLICATE_KEY) return 'duplicate'
  return code === WRITE_CONFLICT ? 'conflict' : { failed: err }
}

/**
 * Codes of the server for a mistake in what was sent, or for data that contradict an index: they concern one document.
 * All its other errors are taken for ones that concern every document: not primary, shutting down, no majority, not
 * authorised, disk full, over quota.
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

/** What the socket of a connection says when it ends; the driver passes some of it on as it is. */
const SOCKET_ERRORS =
  /^(?:EPIPE|ECONN\w+|ETIMEDOUT|EHOST\w+|ENET\w+|ENOTFOUND|EAI_\w+|ERR_(?:STREAM|SOCKET|SSL|TLS)_\w+)$/

function isOfDatabase (err: unknown): err is Error {
  if (err instanceof MongoError) return true
  const { code } = err instanceof Error ? err as NodeJS.ErrnoException : {}
  return typeof code === 'string' && SOCKET_ERRORS.test(code)
}

/** True when the next statement would fare no better; false for what concerns one document only. */
export function isOutage (err: unknown): boolean {
  if (!(err instanceof ApiError)) return isOfDatabase(err) && !isMistake(err)
  return err.code === 'shutting_down' || (err.code === 'store_unavailable' && !isMistake(err.cause))
}

function isMistake (err: unknown): boolean {
  return err instanceof MongoInvalidArgumentError || (err instanceof MongoServerError && MISTAKES.has(err.code))
}

/**
 * Any failure of the database as `store_unavailable`: what is not understood is a failure too. What never got there,
 * being a mistake in a call, is as it is.
 */
export function asStoreFailure (err: unknown): unknown {
  if (!isOfDatabase(err) || err instanceof MongoInvalidArgumentError) return err
  return new ApiError('store_unavailable', `The database failed: ${err.message}`, { cause: err })
}
