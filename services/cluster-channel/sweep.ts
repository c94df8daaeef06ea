import type { Loop, StartLoop, Turn } from '../../background/loop.js'
import type { Lease } from '../../plugins/leases.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { ChannelStore, OutboxStore } from '../../stores/store.js'
import type { HttpPush } from './http-push/push.js'
import type { Sessions } from './sessions.js'

/** Clusters read at a time. */
const PAGE = 500

/**
 * Find, again and again, what no notification brought: commands that wait since before the start or since another
 * process held the lease of HTTP push, and, where notifications of other processes got lost, their commands and the
 * channels that they claimed. The sweep for HTTP push runs while its lease is held, at first as soon as it is taken.
 */
export function startSweeps ({ outbox, channels, lease, sessions, push, everyMs, startLoop }: {
  outbox: OutboxStore
  channels: ChannelStore
  lease: Lease
  sessions: Sessions
  push: HttpPush
  everyMs: number
  startLoop: StartLoop
}): { channels: Loop, push: Loop } {
  async function sweepChannels ({ signal }: Turn): Promise<void> {
    for await (const page of clustersWithCommands(outbox, signal)) sessions.wake(page)
    await sessions.yieldToNewer()
  }

  async function sweepPush ({ signal }: Turn): Promise<void> {
    for await (const page of clustersWithCommands(outbox, signal)) {
      const held = await channels.current(page)
      push.wake(page.filter(id => !held.has(id)))
    }
  }

  return {
    channels: startLoop({ name: 'channel sweep', everyMs, run: sweepChannels }),
    push: startLoop({ name: 'http-push sweep', everyMs, lease, run: sweepPush })
  }
}

/** A page at a time. */
async function * clustersWithCommands (outbox: OutboxStore, signal: AbortSignal): AsyncGenerator<ClusterId[]> {
  let after: ClusterId | undefined
  do {
    const page = await outbox.clusters({ limit: PAGE, ...(after !== undefined && { after }) })
    if (page.length > 0) yield page
    after = page.length === PAGE ? page.at(-1) : undefined
  } while (after !== undefined && !signal.aborted)
}
