import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../schemas/cluster.js'
import type { Lease } from '../../plugins/leases.js'
import type { ChannelStore, OutboxStore } from '../../stores/store.js'
import type { HttpPush } from './http-push/push.js'
import type { Sessions } from './sessions.js'

/** Milliseconds between rounds. */
const SWEEP_MS = 3000
const PAGE = 500

/**
 * Finds, again and again, what no event told: commands that wait since before the start or since another process held
 * the lease of HTTP push, and, where news of other processes got lost, their commands and the channels they took over.
 */
export function startSweep ({ outbox, channels, lease, sessions, push, signal, log }: {
  outbox: OutboxStore
  channels: ChannelStore
  lease: Lease
  sessions: Sessions
  push: HttpPush
  signal: AbortSignal
  log: FastifyBaseLogger
}): { stopped: Promise<void> } {
  async function sweepOnce (): Promise<void> {
    let after: ClusterId | undefined
    do {
      const page = await outbox.clusters({ limit: PAGE, ...(after !== undefined && { after }) })
      if (page.length === 0) break
      sessions.wake(page)
      const held = await channels.current(page)
      push.wake(page.filter(id => !held.has(id)))
      after = page.length === PAGE ? page.at(-1) : undefined
    } while (after !== undefined && !signal.aborted)
    await sessions.yieldToNewer()
  }

  /** Until the next round; it comes early when the lease does. */
  async function rest (): Promise<void> {
    const waiting = new AbortController()
    const end = () => waiting.abort()
    signal.addEventListener('abort', end, { once: true })
    const waits = [
      sleep(SWEEP_MS, undefined, { signal: waiting.signal, ref: false }),
      ...lease.token === undefined ? [lease.held(waiting.signal)] : []
    ]
    await Promise.race(waits.map(wait => wait.catch(() => {})))
    end()
    signal.removeEventListener('abort', end)
  }

  async function run (): Promise<void> {
    while (!signal.aborted) {
      await sweepOnce().catch(err =>
        log.warn({ err }, 'the database could not be asked for commands that wait, it is tried again')
      )
      await rest()
    }
  }

  return { stopped: run() }
}
