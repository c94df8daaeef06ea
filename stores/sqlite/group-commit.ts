import type { Database } from './database.js'
import { asStoreFailure, closingError } from './failures.js'

/**
 * Most writes in one transaction, and the milliseconds after which no further one joins it: requests need their turn
 * too.
 */
const MAX_BATCH = 512
const MAX_BATCH_MS = 25

export interface GroupCommit {
  /**
   * Queues a write; `fn` runs synchronously in a transaction shared with all writes queued in the same turn, and
   * sees those before it. Resolves with its result after the transaction is committed. When `fn` throws, its own
   * statements are undone and it alone rejects. An outage of the database: `store_unavailable`; after close:
   * `shutting_down`.
   * @param options.durable false when losing the write in a power cut does no harm: a batch of only such writes is not
   *   waited for on disk.
   */
  write<T> (fn: () => T, options?: { durable?: boolean }): Promise<T>
  /**
   * Runs a part of a write that is undone when it throws or `keep` says no to its result. Only inside of {@link write}.
   */
  attempt<T> (fn: () => T, keep: (result: T) => boolean): T
  /** Transactions committed so far. */
  readonly commits: number
  /** Resolves when all that was queued is settled; from the call on, writes are refused. */
  drained (): Promise<void>
}

interface QueuedWrite {
  durable: boolean
  /** Runs it; gives what resolves its promise after the commit. */
  run (): () => void
  reject (reason: unknown): void
}

/**
 * One fsync for many writers: what is written in one turn of the event loop shares a transaction.
 * All writes of the connection go through here.
 * @param committed Called after each commit; should it throw, what was written counts as failed.
 */
export function createGroupCommit (db: Database, committed: () => void = () => {}): GroupCommit {
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const savepoint = db.prepare('SAVEPOINT write')
  const release = db.prepare('RELEASE write')
  const rollbackTo = db.prepare('ROLLBACK TO write')

  let queue: QueuedWrite[] = []
  let scheduled = false
  let closing = false
  let commits = 0
  let synchronous: 'FULL' | 'NORMAL' | undefined

  function schedule (): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      commitBatch()
      if (queue.length > 0) schedule()
    })
  }

  function commitBatch (): void {
    let batch = queue.slice(0, MAX_BATCH)
    queue = queue.slice(MAX_BATCH)
    const confirmations: Array<() => void> = []
    try {
      // In WAL mode NORMAL leaves out only the fsync of the commit; the next FULL one carries everything before it to
      // disk.
      setSynchronous(batch.some(({ durable }) => durable) ? 'FULL' : 'NORMAL')
      begin.run()
      // Counted from here: after a BEGIN that was slow each write would be a batch of its own.
      const deadline = performance.now() + MAX_BATCH_MS
      for (const [index, write] of batch.entries()) {
        if (performance.now() > deadline) {
          queue = [...batch.slice(index), ...queue]
          batch = batch.slice(0, index)
          break
        }
        try {
          confirmations.push(write.run())
        } catch (err) {
          // On a full disk, for one, SQLite gives up the whole transaction, and with it the writes before this one.
          if (!db.isTransaction) throw err
          write.reject(asStoreFailure(err))
        }
      }
      commit.run()
      commits++
      committed()
      for (const confirm of confirmations) confirm()
    } catch (err) {
      for (const { reject } of batch) reject(asStoreFailure(err))
      giveUp()
    }
  }

  function giveUp (): void {
    try {
      rollback.run()
    } catch {
      // There is none any more, or it stays open: then it fails the next BEGIN, which ends up here again.
    }
  }

  /** Cannot be changed inside of a transaction, and costs a microsecond: only when it differs. */
  function setSynchronous (mode: 'FULL' | 'NORMAL'): void {
    if (synchronous === mode) return
    db.exec(`PRAGMA synchronous = ${mode}`)
    synchronous = mode
  }

  function attempt<T> (fn: () => T, keep: (result: T) => boolean): T {
    savepoint.run()
    let result: T
    try {
      result = fn()
    } catch (err) {
      undo()
      throw err
    }
    if (keep(result)) release.run()
    else undo()
    return result
  }

  function undo (): void {
    // Nothing is left to undo when SQLite has given up the whole transaction.
    if (!db.isTransaction) return
    rollbackTo.run()
    release.run()
  }

  return {
    write: (fn, { durable = true } = {}) =>
      new Promise((resolve, reject) => {
        if (closing) throw closingError()
        queue.push({
          durable,
          run () {
            const result = attempt(fn, () => true)
            return () => resolve(result)
          },
          reject
        })
        schedule()
      }),

    attempt,

    get commits () {
      return commits
    },

    async drained () {
      closing = true
      while (queue.length > 0) await new Promise(resolve => setImmediate(resolve))
    }
  }
}
