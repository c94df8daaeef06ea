import { setTimeout as sleep } from 'node:timers/promises'
import type { MongoClient } from 'mongodb'
import { ApiError } from '../../schemas/errors.js'
import { boundCollections, collectionsOf, type BoundedCollections } from './collections.js'
import { watchDriver } from './driver-watch.js'
import { createDocumentReader, type DocumentReader, type UnreadableLog } from '../unreadable.js'
import { asStoreFailure, isAnswer, isClientClosed, isUnreachable, isWriteConflict } from './failures.js'
import { createRetries } from './retries.js'

/** Where the store says what it did without being asked. A Fastify logger fits. */
export interface StoreLog extends UnreadableLog {
  debug (details: object, message: string): void
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

/**
 * Milliseconds after which a statement fails that the database has not answered, even if it answers others: whoever
 * asked is told within two seconds.
 */
const ANSWER_MS = 1500

/** While the database does not answer, one question in this many milliseconds finds out whether it does again. */
const PROBE_MS = 200

/** Milliseconds that the driver has to close its connections, and to open new ones: it may hang in that, too. */
const RENEWAL_MS = 10_000

/** Most statements under way; more would only wait longer for the same answer. */
const MAX_UNDER_WAY = 16_384

export interface Connection {
  /**
   * Each statement rejects with `store_unavailable` when the database fails, does not answer in time, or is known not
   * to answer: then nothing waits, so that nothing piles up. One that another writer got in the way of is tried again.
   * failures.ts tells what it was.
   */
  collections: BoundedCollections
  documents: DocumentReader
  log: StoreLog
  /** Rejects with `store_unavailable` when the database does not answer. */
  check (): Promise<void>
  /** Waits for what is under way and refuses what comes later, then closes the client. */
  close (): Promise<void>
}

/** @param answerMs Milliseconds after which a statement fails that has not been answered. */
export function createConnection (client: MongoClient, log: StoreLog, answerMs = ANSWER_MS): Connection {
  let lastAnswer = 0
  let underWay = 0
  let isDown = false
  let nextProbe = 0
  let idle = () => {}
  let closed: Promise<void> | undefined
  const watch = watchDriver(client)
  let renewal: Promise<void> | undefined
  /** A statement found the client closed: a close took longer than it was waited for. */
  let isCut = false
  /** Ends the waits of a renewal. */
  const ending = new AbortController()
  const { signal } = ending

  /** Closes the client, in which something hangs, and opens it again. */
  async function renew (hanging: string): Promise<void> {
    log.warn({}, `the driver of the database hangs, its connections are opened anew: ${hanging}`)
    isCut = false
    const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
      try {
        return await Promise.race([work().then(() => true), sleep(RENEWAL_MS, false, { ref: false, signal })])
      } catch (err) {
        log.debug({ err }, 'the database does not answer yet')
        return false
      }
    }
    await attempt(() => client.close())
    // A client whose connection failed goes on only after another call.
    for (;;) {
      if (closed || await attempt(() => client.connect())) break
      await sleep(PROBE_MS)
    }
    watch.reset()
    renewal = undefined
  }

  /** Rejects once a statement has waited for too long. */
  function deadline (began: number, ms: number): { passed: Promise<never>, forget: () => void } {
    let timer: NodeJS.Timeout | undefined
    let immediate: NodeJS.Immediate | undefined
    const passed = new Promise<never>((resolve, reject) => {
      function giveUp (): void {
        noteSilence(began)
        reject(new ApiError('store_unavailable', `The database did not answer within ${ms / 1000} s`))
      }

      timer = setTimeout(() => {
        // A process that was busy or suspended has yet to read the answers that wait in its sockets.
        immediate = setImmediate(giveUp)
      }, ms)
    })

    function forget (): void {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
    return { passed, forget }
  }

  function admit (): void {
    if (closed) throw new ApiError('shutting_down', 'The database is closed')
    if (underWay >= MAX_UNDER_WAY) throw new ApiError('store_unavailable', 'The database has more to do than it can')
    if (!isDown) return
    if (renewal || performance.now() < nextProbe) throw new ApiError('store_unavailable')
    nextProbe = performance.now() + PROBE_MS
    const hanging = isCut ? 'its connections are closed' : watch.hanging()
    if (hanging === undefined) return
    renewal = renew(hanging)
    throw new ApiError('store_unavailable')
  }

  /** A statement has waited in vain: if nothing else was answered meanwhile, the database does not answer. */
  function noteSilence (began: number): void {
    if (lastAnswer >= began) return
    if (!isDown) log.warn({}, 'the database does not answer')
    isDown = true
    nextProbe = performance.now() + PROBE_MS
  }

  function answered (): void {
    lastAnswer = performance.now()
    if (isDown) log.info({}, 'the database answers again')
    isDown = false
    isCut = false
  }

  async function statement<R> (name: string, work: () => Promise<R>, ms = answerMs): Promise<R> {
    admit()
    underWay++
    const began = performance.now()
    const { passed, forget } = deadline(began, Math.min(ms, answerMs))
    try {
      const result = await Promise.race([despiteConflicts(name, work), passed])
      answered()
      return result
    } catch (err) {
      if (isAnswer(err)) answered()
      else if (isUnreachable(err)) noteSilence(began)
      if (isClientClosed(err)) {
        noteSilence(began)
        isCut = isDown
      }
      throw asStoreFailure(err)
    } finally {
      forget()
      if (--underWay === 0) idle()
    }
  }

  return {
    collections: boundCollections(collectionsOf(client), statement),
    documents: createDocumentReader(log),
    log,

    check: () =>
      statement('ping', async () => {
        await client.db('admin').command({ ping: 1 })
      }),

    close () {
      ending.abort()
      closed ??= new Promise<void>(resolve => {
        idle = resolve
        if (underWay === 0) resolve()
      }).then(() => renewal).then(() => client.close())
      return closed
    }
  }
}

async function despiteConflicts<R> (name: string, work: () => Promise<R>): Promise<R> {
  const retry = createRetries(name)
  for (;;) {
    try {
      return await work()
    } catch (err) {
      if (!isWriteConflict(err)) throw err
      await retry(err)
    }
  }
}
