import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ApiError } from '../../schemas/errors.js'
import { createDocumentReader, type DocumentReader, type UnreadableLog } from '../unreadable.js'
import { openDatabase, type Database } from './database.js'
import { asStoreFailure, closingError } from './failures.js'
import { createGroupCommit, type GroupCommit } from './group-commit.js'
import { migrate } from './migrations.js'

/** Where the store says what it did without being asked. A Fastify logger fits. */
export interface StoreLog extends UnreadableLog {
  info (details: object, message: string): void
}

/** The one connection to the file of the database. */
export interface Connection extends Pick<Database, 'prepare'>, Pick<GroupCommit, 'write' | 'attempt' | 'commits'> {
  documents: DocumentReader
  /** Runs `fn` immediately. It sees what is committed, since a batch of writes is synchronous. */
  read<T> (fn: () => T): Promise<T>
  /** Commits what is queued, then closes the file. */
  close (): Promise<void>
}

/**
 * Opens the file, creating it and its folder, brings its schema up to date and keeps it locked for this process.
 * Throws `store_unavailable`, saying which file and why: in use by another process, not a database, of a newer version.
 */
export async function openConnection ({ file, log }: { file: string, log?: StoreLog }): Promise<Connection> {
  const folder = dirname(file)
  await mkdir(folder, { recursive: true }).catch((err: Error) => {
    throw new ApiError('store_unavailable', `The folder ${folder} for the database cannot be made: ${err.message}`, {
      cause: err
    })
  })
  const db = openDatabase(file)
  try {
    const { from, to } = migrate(db)
    if (from !== to) log?.info({ file, from, to }, 'the schema of the embedded database was brought up to date')
  } catch (err) {
    db.close()
    throw new ApiError('store_unavailable', `The database ${file} cannot be used: ${(err as Error).message}`, {
      cause: err
    })
  }
  const group = createGroupCommit(db)
  let closed: Promise<void> | undefined

  return {
    prepare: db.prepare,
    write: group.write,
    attempt: group.attempt,
    documents: createDocumentReader(log),

    get commits () {
      return group.commits
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
