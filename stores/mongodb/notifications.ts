import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { ChangeStream, ChangeStreamDocument } from 'mongodb'
import type { ClusterId } from '../../schemas/cluster.js'
import type { StoreNotifications } from '../store.js'
import { inBatches } from './batches.js'
import type { NotificationDocument } from './collections.js'
import type { Connection } from './connection.js'

type Content = Partial<Pick<NotificationDocument, 'commands' | 'claims' | 'unplaced'>>

export interface Notifications {
  events: EventEmitter<StoreNotifications>
  /** Tells the other processes. Nobody waits for it, and it is lost when it cannot be written. */
  publish (content: Content): void
  /** Tells this process, of what another one left behind. */
  emit (content: Content): void
  /** Reads what others published since the last time, unless a change stream brings it. */
  poll (): Promise<void>
  /** Opens a change stream, where the server has them. Resolves once that is known. */
  watch (): Promise<void>
  /** Forgets what everyone has read by now. */
  sweep (): Promise<void>
  stop (): void
}

/** Milliseconds that clocks of processes may differ, and that a write may take: so far back is read again each time. */
const OVERLAP_MS = 10_000

/** Milliseconds that notifications are kept. */
const KEPT_MS = 60_000

/** One small document for all that happens in the same moment, so that notifications cost what is new. */
export function createNotifications ({ collections: { notifications }, log }: Connection): Notifications {
  const me = randomUUID()
  const events = new EventEmitter<StoreNotifications>()
  /** Ids of what was read, and when it was written: it is read more than once. */
  const read = new Map<string, number>()
  let since = Date.now()
  let stream: ChangeStream<NotificationDocument> | undefined
  let isWatching = false

  function emit ({ commands = [], claims = [], unplaced = false }: Content): void {
    if (commands.length > 0) events.emit('commands', commands)
    if (claims.length > 0) events.emit('claims', claims)
    if (unplaced) events.emit('unplaced')
  }

  function take (document: NotificationDocument): void {
    const id = String(document._id)
    if (document.from === me || read.has(id)) return
    const at = document.at.getTime()
    read.set(id, at)
    since = Math.max(since, at)
    for (const [known, writtenAt] of read) {
      if (writtenAt < since - 2 * OVERLAP_MS) read.delete(known)
    }
    emit(document)
  }

  const write = inBatches(async (all: Content[]) => {
    const union = (name: 'commands' | 'claims'): ClusterId[] => [
      ...new Set(all.flatMap(content => content[name] ?? []))
    ]
    await notifications.insertOne({
      at: new Date(),
      from: me,
      commands: union('commands'),
      claims: union('claims'),
      unplaced: all.some(content => content.unplaced)
    }, { writeConcern: { w: 1 } })
    return all
  })

  async function poll (): Promise<void> {
    const found = await notifications.findMany({ at: { $gt: new Date(since - OVERLAP_MS) }, from: { $ne: me } }, {
      sort: { at: 1 }
    })
    for (const document of found) take(document)
  }

  function takeChange (change: ChangeStreamDocument<NotificationDocument>): void {
    if (change.operationType === 'insert') take(change.fullDocument)
  }

  async function follow (changes: ChangeStream<NotificationDocument>): Promise<void> {
    try {
      for await (const change of changes) takeChange(change)
    } catch (err) {
      log.debug({ err }, 'the change stream ended, notifications are polled instead')
    }
    // Unless another one follows already.
    if (stream === changes) isWatching = false
  }

  /** Nobody waits for the server to hear of it. */
  function end (): void {
    stream?.close().catch((err: unknown) => log.debug({ err }, 'a change stream did not close'))
    stream = undefined
  }

  return {
    events,
    emit,

    publish (content) {
      if (!content.unplaced && !content.commands?.length && !content.claims?.length) return
      write(content).catch((err: unknown) => log.debug({ err }, 'a notification could not be written'))
    },

    async poll () {
      if (!isWatching) await poll()
    },

    async watch () {
      if (isWatching) return
      end()
      try {
        const opened = await notifications.watch([{ $match: { operationType: 'insert' } }])
        stream = opened.stream
        if (opened.first) takeChange(opened.first)
      } catch (err) {
        log.debug({ err }, 'the server has no change streams, notifications are polled instead')
        return
      }
      isWatching = true
      follow(stream)
      try {
        // What was written before it was open.
        await poll()
      } catch (err) {
        isWatching = false
        throw err
      }
    },

    sweep: async () => {
      await notifications.deleteMany({ at: { $lt: new Date(Date.now() - KEPT_MS) } })
    },

    stop: end
  }
}
