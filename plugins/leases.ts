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
  campaign (name: string): Lease
  /** All leases that it campaigns for. */
  campaigns (): ReadonlyArray<{ name: string, lease: Lease }>
}

/** Tries to get or prolong a lease while it lasts. One that fails leaves time for another. */
const TRIES = 3

export default fp(async function leases (app) {
  const leaseMs = app.config.LEASE_S * 1000
  const holder = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  const all: Array<{ name: string, lease: Lease, loop: Loop }> = []

  function campaign (name: string): Lease {
    const turns = new EventEmitter<{ taken: [] }>()
    let token: number | undefined
    let validUntil = 0
    let answeredSince: number | undefined
    let lastAnswer = 0

    async function attempt (): Promise<void> {
      // Counted from before the question: the store counts from when it gets it, which is later.
      const asked = performance.now()
      try {
        token = await app.store.leases.acquire(name, holder, leaseMs)
        validUntil = asked + leaseMs
        // A process that was suspended has heard nothing either.
        if (answeredSince === undefined || asked - lastAnswer > leaseMs) answeredSince = Date.now()
        lastAnswer = asked
        if (token !== undefined) turns.emit('taken')
      } catch (err) {
        answeredSince = undefined
        app.log.warn({ err, lease: name }, 'a lease could not be prolonged, it is tried again')
      }
    }

    const current = () => performance.now() < validUntil ? token : undefined
    const lease: Lease = {
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
    all.push({ name, lease, loop: app.loops.start({ name: `lease ${name}`, everyMs: leaseMs / TRIES, run: attempt }) })
    return lease
  }

  app.decorate('leases', { holder, processLease: campaign(`process/${holder}`), campaign, campaigns: () => all })
  app.addHook('onClose', () =>
    Promise.all(all.map(async ({ name, loop }) => {
      await loop.stop()
      // Others need not wait for it to expire.
      await app.store.leases.release(name, holder).catch(() => {})
    })))
}, { name: 'leases', dependencies: ['config', 'store', 'loops'] })
