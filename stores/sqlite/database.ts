import { backup, DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite'
import { ApiError } from '../../schemas/errors.js'
import { isBusy } from './failures.js'

type Value = string | number | null

/** A prepared statement; `Row` is what its columns make. */
export interface Statement<Row> {
  run (...values: Value[]): { changes: number }
  get (...values: Value[]): Row | undefined
  all (...values: Value[]): Row[]
}

/** A file of SQLite that is open and locked. Its log is brought into it by whoever calls for that (checkpoints.ts). */
export interface Database {
  /** Runs statements that give nothing back. */
  exec (sql: string): void
  /** The same text gives the same statement: each is compiled once. */
  prepare<Row = unknown> (sql: string): Statement<Row>
  readonly isOpen: boolean
  readonly isTransaction: boolean
  /** Copies what is committed into another file, a few pages at a time: others may write meanwhile. */
  backup (file: string): Promise<void>
  /** Lets go of the file and its lock. */
  close (): void
}

/** Pages that a backup copies at a time: a quarter of a megabyte, which holds up others for a millisecond. */
const BACKUP_PAGES = 64

/** Milliseconds to wait for a server that is just closing the same file. */
const LOCK_WAIT_MS = 500

/**
 * Opens a file, creating it when missing, under an exclusive lock of the file system: a second server is refused, and a
 * killed one leaves no lock behind. Throws `store_unavailable`, saying which file and why.
 */
export function openDatabase (file: string): Database {
  let db: DatabaseSyncInstance | undefined
  try {
    db = new DatabaseSync(file, { timeout: LOCK_WAIT_MS, enableForeignKeyConstraints: true })
    // The locking mode comes first: the lock is taken by the first access after it, and kept.
    db.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -65536;
      PRAGMA wal_autocheckpoint = 0;
      BEGIN EXCLUSIVE;
      COMMIT;
    `)
    return withStatements(db)
  } catch (err) {
    db?.close()
    throw isBusy(err)
      ? new ApiError(
        'store_unavailable',
        `The database ${file} is in use by another System Manager; each needs a DATA_DIR of its own`,
        { cause: err }
      )
      : new ApiError('store_unavailable', `The database ${file} cannot be opened: ${(err as Error).message}`, {
        cause: err
      })
  }
}

function withStatements (db: DatabaseSyncInstance): Database {
  const statements = new Map<string, StatementSyncInstance>()
  return {
    exec: sql => db.exec(sql),

    prepare<Row> (sql: string): Statement<Row> {
      const statement = statements.get(sql) ?? db.prepare(sql)
      statements.set(sql, statement)
      return statement
    },

    get isOpen () {
      return db.isOpen
    },

    get isTransaction () {
      return db.isTransaction
    },

    backup: async file => {
      await backup(db, file, { rate: BACKUP_PAGES })
    },

    close () {
      try {
        // Closing alone would keep the lock until the last statement is collected as garbage, and SQLite gives up an
        // exclusive lock only outside of WAL mode. The next one who opens the file finds it in one piece, too.
        db.exec(
          'PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL; BEGIN; SELECT count(*) FROM sqlite_schema; ' +
            'COMMIT'
        )
      } catch {
        // On a full disk, for one: everything acknowledged is in the write-ahead log, for the next one who opens the
        // file.
      }
      db.close()
    }
  }
}
