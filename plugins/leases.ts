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

/** A lease that this process campaigns for as long as it runs. */
export interface Lease {
  /** The fencing token while the lease is held; undefined while another process holds it, or after it has expired. */
  readonly token: number | undefined
  /**
   * Since when the store has answered without a gap, monotonic milliseconds; undefined while it does not answer. Before
   * that time, heartbeats may have been missed.
   */
  readonly answeredSince: number | undefined
  /** Resolves with the token once the lease is held; rejects when `signal` aborts. */
  held (signal: AbortSignal): Promise<number>
  /** Tries to acquire or renew it now. */
  renew (): void
}

/** Leader election among the System Managers that share a database. */
export interface Leases {
  /** Identifies this process; a new one with each start. Its lease `process/<holder>` shows that it is alive. */
  holder: string
  /**
   * The process lease. While it has expired, or once its `answeredSince` has changed, others may have taken over what
   * this process held.
   */
  processLease: Lease
  /** Campaigns for a lease, and holds it until the server closes. */
  campaign (name: string): Lease
  /** All leases that this process campaigns for. */
  campaigns (): ReadonlyArray<{ name: string, lease: Lease }>
}

/** Attempts to acquire or renew a lease while it lasts: if one fails, there is time for another. */
const ATTEMPTS = 3

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
      // Counted from before the request: the store counts from when it receives it, which is later.
      const asked = performance.now()
      try {
        token = await app.store.leases.acquire(name, holder, leaseMs)
        validUntil = asked + leaseMs
        // A process that was suspended has missed heartbeats, too.
        if (answeredSince === undefined || asked - lastAnswer > leaseMs) answeredSince = asked
        lastAnswer = asked
        if (token !== undefined) turns.emit('taken')
      } catch (err) {
        answeredSince = undefined
        app.log.warn({ err, lease: name }, 'a lease could not be renewed, it is tried again')
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
      },

      renew: () => loop.wake()
    }
    const loop = app.loops.start({ name: `lease ${name}`, everyMs: leaseMs / ATTEMPTS, run: attempt })
    all.push({ name, lease, loop })
    return lease
  }

  app.decorate('leases', { holder, processLease: campaign(`process/${holder}`), campaign, campaigns: () => all })
  app.addHook('onClose', () =>
    Promise.all(all.map(async ({ name, loop }) => {
      await loop.stop()
      // Other processes need not wait for it to expire.
      await app.store.leases.release(name, holder).catch(() => {})
    })))
}, { name: 'leases', dependencies: ['config', 'store', 'loops'] })
