import { statSync } from 'node:fs'
import { ApiError } from '../../schemas/errors.js'
import type { Database } from './database.js'
import type { IdentityRow } from './identity.js'
import { logOf, writeMarker, type Marker } from './marker.js'

/** Size of the log, bytes, from which on it is brought into the database: that of SQLite's own checkpoints. */
const LOG_BYTES = 4 * 1024 * 1024

export interface Checkpoints {
  /** To be called after each commit. Throws `store_unavailable` when the file is not where it was. */
  committed (): void
  /** Brings the log into the database, and notes that a server has it open. */
  begin (): Promise<void>
  /** Notes that nobody has it open any more; to be called just before it is closed. What it gives is awaited after. */
  end (): () => Promise<void>
}

/** @param noteFailed A checkpoint failed, or its marker could not be written: the next one makes up for it. */
export function createCheckpoints (
  db: Database,
  file: string,
  identity: IdentityRow,
  noteFailed: (err: unknown) => void
): Checkpoints {
  const { dev, ino } = statSync(file)
  let noted: Promise<void> = Promise.resolve()
  let next: Marker | undefined

  /** One after the other, and of several that wait the last one. */
  function note (marker: Marker): Promise<void> {
    next = marker
    noted = noted.then(async () => {
      const last = next
      next = undefined
      if (last) await writeMarker(file, last).catch(noteFailed)
    })
    return noted
  }

  /** In this order: a count that is on disk is never below that of the marker. */
  function checkpoint (): Marker {
    const marker = identity.raise(true)
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return marker
  }

  return {
    committed () {
      const now = statSync(file, { throwIfNoEntry: false })
      const log = statSync(logOf(file), { throwIfNoEntry: false })
      if (!log || now?.ino !== ino || now.dev !== dev) {
        throw new ApiError('store_unavailable', `The database ${file} was removed or replaced while it was in use`, {
          hint: 'Stop the System Manager, put the files back, and start it again'
        })
      }
      if (log.size < LOG_BYTES) return
      try {
        note(checkpoint())
      } catch (err) {
        // What was committed is in the log all the same. The next commit tries it again.
        noteFailed(err)
      }
    },

    begin: () => note(checkpoint()),

    end () {
      let marker: Marker | undefined
      try {
        marker = identity.raise(false)
      } catch (err) {
        // On a full disk, for one: the next start takes it for one that ended in the middle, which is safe.
        noteFailed(err)
      }
      return () => marker ? note(marker) : noted
    }
  }
}
