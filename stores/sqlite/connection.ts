import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ApiError } from '../../schemas/errors.js'
import { createDocumentReader, type DocumentReader, type UnreadableLog } from '../unreadable.js'
import { createCheckpoints, type Checkpoints } from './checkpoints.js'
import { openDatabase, type Database } from './database.js'
import { asStoreFailure, closingError } from './failures.js'
import { checkWritable, makeFolder } from './folder.js'
import { damageIn } from './inspection.js'
import { lookAt, newId, openIdentity, refusalOf } from './identity.js'
import { readMarker, writeMarker } from './marker.js'
import { createGroupCommit, type GroupCommit } from './group-commit.js'
import { migrate } from './migrations.js'

/** Where the store says what it did without being asked. A Fastify logger fits. */
export interface StoreLog extends UnreadableLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

/** The one connection to the file of the database. */
export interface Connection
  extends Pick<Database, 'prepare' | 'backup'>, Pick<GroupCommit, 'write' | 'attempt' | 'commits'> {
  documents: DocumentReader
  /** Runs `fn` immediately. It sees what is committed, since a batch of writes is synchronous. */
  read<T> (fn: () => T): Promise<T>
  /** Refuses what comes from now on, commits what is queued, and closes the file once `other` work on it is done. */
  close (other?: Promise<void>): Promise<void>
}

/** Largest database, bytes, that is checked at the start when a server died with it: that takes a second. */
const CHECKED_BYTES = 512 * 1024 * 1024

/**
 * Opens the file, creating it and its folder, brings its schema up to date and keeps it locked for this process.
 * Throws `store_unavailable`, saying which file and why: in use by another process, not a database, of a newer version,
 * damaged, or not the one that was here last.
 * @param options.adopt Takes the database for what it is, and makes it the one that was here last.
 */
export async function openConnection (
  { file, log, adopt = false }: { file: string, log?: StoreLog, adopt?: boolean }
): Promise<Connection> {
  const folder = dirname(file)
  await makeFolder(folder)
  const cannotBeUsed = (why: string, cause?: unknown) =>
    new ApiError('store_unavailable', `The database ${file} cannot be used: ${why}`, { cause })
  const marker = await readMarker(file).catch((err: Error) => {
    if (!adopt) throw cannotBeUsed(err.message, err)
    return undefined
  })
  const refusal = adopt ? undefined : refusalOf(lookAt(file, marker))
  if (refusal !== undefined) throw cannotBeUsed(refusal)
  await checkWritable(folder, file)
  const db = openDatabase(file)
  let checkpoints: Checkpoints
  try {
    const { from, to } = migrate(db)
    if (from !== to) log?.info({ file, from, to }, 'the schema of the embedded database was brought up to date')
    const identity = openIdentity(db)
    if (identity.before?.running) checkPages(db, file, log)
    if (!identity.before || adopt) {
      const id = marker?.count === 0 && !adopt ? marker.id : newId()
      await writeMarker(file, { id, count: 0 })
      identity.begin(id)
    }
    checkpoints = createCheckpoints(db, file, identity, err =>
      log?.warn({ err }, 'a checkpoint of the embedded database failed, or its marker')
    )
    await checkpoints.begin()
  } catch (err) {
    db.close()
    throw cannotBeUsed((err as Error).message, err)
  }
  const group = createGroupCommit(db, checkpoints.committed)
  let closed: Promise<void> | undefined

  async function close (other: Promise<void> | undefined): Promise<void> {
    await group.drained()
    await other
    const noted = checkpoints.end()
    db.close()
    await noted()
  }

  return {
    prepare: db.prepare,
    write: group.write,
    attempt: group.attempt,
    backup: db.backup,
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

    close (other) {
      closed ??= close(other)
      return closed
    }
  }
}

/** Throws for a database with a damaged page. */
function checkPages (db: Database, file: string, log: StoreLog | undefined): void {
  const { size } = statSync(file)
  if (size > CHECKED_BYTES) {
    log?.warn({ file, size }, 'a server died with this database, which is too large to be checked now: back it up')
    return
  }
  const damage = damageIn(db)
  if (damage !== undefined) throw new Error(`it is damaged (${damage}). Restore a backup: system-manager restore FILE`)
  log?.info({ file }, 'a server died with this database: its pages were checked, and are in order')
}
