import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite'
import { ApiError } from '../../schemas/errors.js'
import { asStoreFailure, closingError, isBusy } from './failures.js'
import { createGroupCommit, type GroupCommit } from './group-commit.js'
import { migrate } from './migrations.js'

/** Where the store tells what it did by itself. A Fastify logger fits. */
export interface StoreLog {
  info (details: object, message: string): void
}

type Value = string | number | null

/** A prepared statement; `Row` is what its columns make. */
export interface Statement<Row> {
  run (...values: Value[]): { changes: number }
  get (...values: Value[]): Row | undefined
  all (...values: Value[]): Row[]
}

/** The one connection to the file of the database. */
export interface Connection extends Pick<GroupCommit, 'write' | 'attempt' | 'commits'> {
  /** The same text gives the same statement: each is compiled once. */
  prepare<Row = unknown> (sql: string): Statement<Row>
  /** Runs `fn` at once; it sees what is committed, since a batch of writes runs in one synchronous go. */
  read<T> (fn: () => T): Promise<T>
  /** Commits what is queued, then closes the file. */
  close (): Promise<void>
}

/** Milliseconds to wait for a server that is just closing the same file. */
const LOCK_WAIT_MS = 500

/**
 * Opens the file, creating it and its folder, brings its schema up to date and keeps it locked for this process.
 * Throws `store_unavailable`, saying which file and why: in use by another process, not a database, of a newer version.
 */
export async function openConnection ({ file, log }: { file: string, log?: StoreLog }): Promise<Connection> {
  await mkdir(dirname(file), { recursive: true })
  const db = openLocked(file)
  try {
    const { from, to } = migrate(db)
    if (from !== to) log?.info({ file, from, to }, 'the schema of the embedded database was brought up to date')
  } catch (err) {
    db.close()
    throw new ApiError('store_unavailable', `The database ${file} cannot be used: ${(err as Error).message}`, { cause: err })
  }
  const statements = new Map<string, Statement<unknown>>()
  const group = createGroupCommit(db)
  let closed: Promise<void> | undefined

  return {
    write: group.write,
    attempt: group.attempt,

    get commits () {
      return group.commits
    },

    prepare<Row> (sql: string): Statement<Row> {
      const statement = statements.get(sql) ?? db.prepare(sql)
      statements.set(sql, statement)
      return statement as Statement<Row>
    },

    async read (fn) {
      if (!db.isOpen) throw closingError()
      try {
        return fn()
      } catch (err) {
        throw asStoreFailure(err)
      }
    },

    close () {
      closed ??= group.drained().then(() => db.close())
      return closed
    }
  }
}

/** An exclusive lock of the file system: a second server is refused, and a killed one leaves nothing behind. */
function openLocked (file: string): DatabaseSyncInstance {
  let db: DatabaseSyncInstance | undefined
  try {
    db = new DatabaseSync(file, { timeout: LOCK_WAIT_MS, enableForeignKeyConstraints: true })
    db.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -65536;
      PRAGMA journal_size_limit = 67108864;
      BEGIN EXCLUSIVE;
      COMMIT;
    `)
    return db
  } catch (err) {
    db?.close()
    throw isBusy(err)
      ? new ApiError('store_unavailable', `The database ${file} is in use by another System Manager; each needs a DATA_DIR of its own`, { cause: err })
      : new ApiError('store_unavailable', `The database ${file} cannot be opened: ${(err as Error).message}`, { cause: err })
  }
}
