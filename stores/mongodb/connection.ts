import type { MongoClient } from 'mongodb'
import { ApiError } from '../../schemas/errors.js'
import { collectionsOf, type Collections } from './collections.js'
import { createDocumentReader, type DocumentReader, type UnreadableLog } from '../unreadable.js'
import { asStoreFailure } from './failures.js'

/** Where the store says what it did without being asked. A Fastify logger fits. */
export interface StoreLog extends UnreadableLog {
  debug (details: object, message: string): void
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

/**
 * Milliseconds of silence after which a request fails, since the database does not answer. While it answers others, it
 * is only busy.
 */
const SILENCE_MS = 1200

/** The same for what nobody waits for. */
export const LONG_MS = 60_000

/** While the database does not answer, one question in this many milliseconds finds out whether it does again. */
const PROBE_MS = 200

/** Most questions under way; more would only wait longer for the same answer. */
const MAX_UNDER_WAY = 16_384

export interface Connection {
  collections: Collections
  documents: DocumentReader
  log: StoreLog
  /**
   * Runs one operation of the store. Rejects with `store_unavailable` when the database fails, is silent for too long,
   * or is known not to answer: then nothing waits, so that nothing piles up.
   */
  run<T> (work: () => Promise<T>, silenceMs?: number): Promise<T>
  /** Waits for what is under way and refuses what comes later, then closes the client. */
  close (): Promise<void>
}

/** @param usualMs Milliseconds of silence after which an operation fails that names no time of its own. */
export function createConnection (client: MongoClient, log: StoreLog, usualMs = SILENCE_MS): Connection {
  let lastAnswer = 0
  let underWay = 0
  let isDown = false
  let nextProbe = 0
  let idle = () => {}
  let closed: Promise<void> | undefined

  // To whatever was asked: the client has `monitorCommands`.
  client.on('commandSucceeded', () => {
    lastAnswer = performance.now()
  })

  /** Rejects once the database was silent for so long. */
  function silence (ms: number): { broken: Promise<never>, forget: () => void } {
    let timer: NodeJS.Timeout | undefined
    let immediate: NodeJS.Immediate | undefined
    const began = performance.now()
    const broken = new Promise<never>((resolve, reject) => {
      function look (): void {
        const left = Math.max(began, lastAnswer) + ms - performance.now()
        if (left > 0) timer = setTimeout(look, left)
        // A process that was busy or suspended has yet to read the answers that wait in its sockets.
        else immediate = setImmediate(giveUp)
      }

      function giveUp (): void {
        if (Math.max(began, lastAnswer) + ms > performance.now()) look()
        else reject(new ApiError('store_unavailable', `The database did not answer for ${ms / 1000} s`))
      }
      look()
    })

    function forget (): void {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
    return { broken, forget }
  }

  function admit (): void {
    if (closed) throw new ApiError('shutting_down', 'The database is closed')
    if (underWay >= MAX_UNDER_WAY) throw new ApiError('store_unavailable', 'The database has more to do than it can')
    if (!isDown) return
    if (performance.now() < nextProbe) throw new ApiError('store_unavailable')
    nextProbe = performance.now() + PROBE_MS
  }

  function answered (): void {
    if (isDown) log.info({}, 'the database answers again')
    isDown = false
  }

  function failed (err: unknown): void {
    if (!(err instanceof ApiError) || err.code !== 'store_unavailable') return
    if (!isDown) log.warn({ err }, 'the database does not answer')
    isDown = true
    nextProbe = performance.now() + PROBE_MS
  }

  return {
    collections: collectionsOf(client),
    documents: createDocumentReader(log),
    log,

    async run (work, silenceMs = usualMs) {
      admit()
      underWay++
      const { broken, forget } = silence(silenceMs)
      try {
        const result = await Promise.race([work(), broken])
        answered()
        return result
      } catch (err) {
        const failure = asStoreFailure(err)
        failed(failure)
        throw failure
      } finally {
        forget()
        if (--underWay === 0) idle()
      }
    },

    close () {
      closed ??= new Promise<void>(resolve => {
        idle = resolve
        if (underWay === 0) resolve()
      }).then(() => client.close())
      return closed
    }
  }
}
