import type { ChannelClaim, ChannelStore } from '../store.js'
import type { Connection } from './connection.js'

export function createChannelStore ({ prepare, read, write }: Connection): ChannelStore {
  const claim = prepare<{ claim: number }>(`
    INSERT INTO channels (cluster_id, holder, claim) VALUES (?, ?, 1)
    ON CONFLICT (cluster_id) DO UPDATE SET holder = excluded.holder, claim = claim + 1 RETURNING claim`)
  const release = prepare('UPDATE channels SET holder = NULL WHERE cluster_id = ? AND claim = ?')
  const select = prepare<ChannelClaim & { cluster_id: string }>(`
    SELECT channels.cluster_id, channels.holder, channels.claim FROM json_each(?) AS asked
    JOIN channels ON channels.cluster_id = asked.value
    JOIN leases ON leases.name = 'process/' || channels.holder
    WHERE leases.expires_at > ?`)

  return {
    claim: (clusterId, holder) => write(() => claim.get(clusterId, holder)!.claim),

    release: (clusterId, number) =>
      write(() => {
        release.run(clusterId, number)
      }, { durable: false }),

    current: clusterIds =>
      read(() =>
        new Map(
          select.all(JSON.stringify(clusterIds), Date.now())
            .map(({ cluster_id: id, ...found }) => [id, found])
        )
      )
  }
}
