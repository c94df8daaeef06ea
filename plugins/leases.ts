import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Loop } from '../background/loop.js'

declare module 'fastify' {
  interface FastifyInstance {
    leases: Leases
  }
}

/** A lease that this process tries to hold for as long as it runs. */
export interface Lease {
  /**
   * The fencing token while it is held; undefined while another process holds it, or when it could not be prolonged in
   * time.
   */
  readonly token: number | undefined
  /**
   * Since when the store has answered without a break, Unix milliseconds: before that, others may not have been heard.
   */
  readonly answeredSince: number | undefined
  /** Resolves with the token once it is held; rejects when `signal` is aborted. */
  held (signal: AbortSignal): Promise<number>
}

/** This process among the System Managers that share a database. */
export interface Leases {
  /** Names this process, anew with each start. Its lease `process/<holder>` says that it lives. */
  holder: string
  /**
   * That lease. While it has run out, or once `answeredSince` is later than before, others may have taken what this
   * process held.
   */
  processLease: Lease
  /** Keeps trying to get a lease, and holds it until the server closes. */
  campaign (lease: string): Lease
}

/** Milliseconds a lease lasts. A dead process is followed by another within this and one try: below 15 s. */
const LEASE_MS = 9_000

/** Milliseconds between tries. */
const TRY_MS = 3_000

export default fp(async function leases (app) {
  const holder = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  const loops: Array<{ lease: string, loop: Loop }> = []

  function campaign (lease: string): Lease {
    const turns = new EventEmitter<{ taken: [] }>()
    let token: number | undefined
    let validUntil = 0
    let answeredSince: number | undefined
    let lastAnswer = 0

    async function attempt (): Promise<void> {
      // Counted from before the question: the store counts from when it gets it, which is later.
      const asked = performance.now()
      try {
        token = await app.store.leases.acquire(lease, holder, LEASE_MS)
        validUntil = asked + LEASE_MS
        // A process that was suspended has heard nothing either.
        if (answeredSince === undefined || asked - lastAnswer > LEASE_MS) answeredSince = Date.now()
        lastAnswer = asked
        if (token !== undefined) turns.emit('taken')
      } catch (err) {
        answeredSince = undefined
        app.log.warn({ err, lease }, 'a lease could not be prolonged, it is tried again')
      }
    }

    loops.push({ lease, loop: app.loops.start({ name: `lease ${lease}`, everyMs: TRY_MS, run: attempt }) })

    const current = () => performance.now() < validUntil ? token : undefined
    return {
      get token () {
        return current()
      },
      get answeredSince () {
        return answeredSince
      },

      async held (signal) {
        for (;;) {
          const found = current()
          if (found !== undefined) return found
          await once(turns, 'taken', { signal })
        }
      }
    }
  }

  app.decorate('leases', { holder, processLease: campaign(`process/${holder}`), campaign })
  app.addHook('onClose', () =>
    Promise.all(loops.map(async ({ lease, loop }) => {
      await loop.stop()
      // Others need not wait for it to expire.
      await app.store.leases.release(lease, holder).catch(() => {})
    })))
}, { name: 'leases', dependencies: ['store', 'loops'] })
