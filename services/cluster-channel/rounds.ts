import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../schemas/cluster.js'
import type { Store } from '../../stores/store.js'
import type { HttpPush } from './http-push/push.js'
import type { Sessions } from './sessions.js'

/** Who holds it pushes over HTTP. */
const LEASE = 'http-push'

/** A process that dies is followed by another after this, milliseconds. */
const LEASE_MS = 10_000
const RENEW_MS = 3000

/** News of other processes may get lost: so often, in milliseconds, is looked at everything that waits. */
const ROUND_MS = 15_000
const PAGE = 500

/**
 * Holds or waits for the lease of HTTP push, and finds what no event told: commands that wait since before the start,
 * commands of other processes, channels that other processes took over.
 */
export function startRounds ({ store, holder, sessions, push, signal, log }: {
  store: Pick<Store, 'leases' | 'outbox' | 'channels'>
  holder: string
  sessions: Sessions
  push: HttpPush
  signal: AbortSignal
  log: FastifyBaseLogger
}): { stopped: Promise<void> } {
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
    let isLeading = false
    let nextRound = 0
    while (!signal.aborted) {
      const now = performance.now()
      try {
        const wasLeading = isLeading
        isLeading = await store.leases.acquire(LEASE, holder, LEASE_MS) !== undefined
        push.lead(isLeading ? now + LEASE_MS : 0)
        if (now >= nextRound || (isLeading && !wasLeading)) {
          nextRound = now + ROUND_MS
          await round()
        }
      } catch (err) {
        log.warn({ err }, 'the database could not be asked for commands that wait, it is tried again')
      }
      await sleep(RENEW_MS, undefined, { signal, ref: false }).catch(() => {})
    }
    if (isLeading) await store.leases.release(LEASE, holder).catch(err => log.warn({ err }, 'the lease of HTTP push was not given back'))
  }

  return { stopped: run() }
}
