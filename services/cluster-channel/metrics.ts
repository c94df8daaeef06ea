import { Gauge, type Registry } from 'prom-client'
import { countedByStore } from '../../plugins/metrics.js'
import type { OutboxStore } from '../../stores/store.js'
import type { Sessions } from './sessions.js'

/** Who is connected, and how much is still on its way to the clusters. */
export function measureChannels (
  metrics: Registry,
  sessions: Pick<Sessions, 'open'>,
  outbox: Pick<OutboxStore, 'backlog'>
): void {
  const open = new Gauge({
    name: 'edgeio_cluster_channels_open',
    help: 'Registered WebSocket channels of clusters that are open',
    registers: [metrics],
    collect () {
      open.set(sessions.open())
    }
  })

  const backlog = new Gauge({
    name: 'edgeio_outbox_backlog',
    help: 'Commands that clusters have not acknowledged yet',
    registers: [metrics],
    collect: countedByStore(() => outbox.backlog(), count => backlog.set(count))
  })
}
