import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../schemas/cluster.js'
import type { Store } from '../../stores/store.js'
import type { HttpPush } from './http-push/push.js'
import type { Sessions } from './sessions.js'

/** Who holds it pushes over HTTP. */
const LEASE = 'http-push'

/** A process that dies is followed by another within this and a round, milliseconds. */
const LEASE_MS = 10_000
const ROUND_MS = 3000
const PAGE = 500

/**
 * Holds or waits for the lease of HTTP push, and finds what no event told: commands that wait since before the start, and,
 * where news of other processes got lost, their commands and the channels they took over.
 */
export function startRounds ({ store, holder, sessions, push, signal, log }: {
  store: Pick<Store, 'leases' | 'outbox' | 'channels'>
  holder: string
  sessions: Sessions
  push: HttpPush
  signal: AbortSignal
  log: FastifyBaseLogger
}): { stopped: Promise<void>, handOver (): Promise<void> } {
  async function round (): Promise<void> {
    let after: ClusterId | undefined
    do {
      const page = await store.outbox.clusters({ limit: PAGE, ...(after !== undefined && { after }) })
      if (page.length === 0) break
      sessions.wake(page)
      const held = await store.channels.current(page)
      push.wake(page.filter(id => !held.has(id)))
      after = page.length === PAGE ? page.at(-1) : undefined
    } while (after !== undefined && !signal.aborted)
    await sessions.yieldToNewer()
  }

  async function run (): Promise<void> {
    while (!signal.aborted) {
      const now = performance.now()
      try {
        const isLeading = await store.leases.acquire(LEASE, holder, LEASE_MS) !== undefined
        push.lead(isLeading ? now + LEASE_MS : 0)
        await round()
      } catch (err) {
        log.warn({ err }, 'the database could not be asked for commands that wait, it is tried again')
      }
      await sleep(ROUND_MS, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  return {
    stopped: run(),
    // Once nothing is pushed any more: the next process need not wait for the lease to expire.
    handOver: () => store.leases.release(LEASE, holder).catch(err => log.warn({ err }, 'the lease of HTTP push was not given back'))
  }
}
