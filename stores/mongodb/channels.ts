import { ApiError } from '../../schemas/errors.js'
import type { ChannelClaim, ChannelStore } from '../store.js'
import type { Connection } from './connection.js'
import { toObjectId } from './ids.js'
import type { Notifications } from './notifications.js'

/** A claim is kept in the document of its cluster, and goes with it. */
export function createChannelStore (
  { collections: { clusters, leases } }: Connection,
  notifications: Notifications
): ChannelStore {
  return {
    async claim (clusterId, holder) {
      const claimed = await clusters.findOneAndUpdate(
        { _id: toObjectId(clusterId) },
        { $set: { 'system_manager.channel.holder': holder }, $inc: { 'system_manager.channel.claim': 1 } },
        { returnDocument: 'after', projection: { 'system_manager.channel': 1 } }
      )
      const channel = claimed?.system_manager?.channel
      if (!channel) throw new ApiError('cluster_not_found', `No cluster has the id ${clusterId}`)
      notifications.publish({ claims: [clusterId] })
      return channel.claim
    },

    async release (clusterId, claim) {
      await clusters.updateOne({ _id: toObjectId(clusterId), 'system_manager.channel.claim': claim }, {
        $set: { 'system_manager.channel.holder': null }
      })
    },

    async current (clusterIds) {
      const found = await clusters.findMany({ _id: { $in: clusterIds.map(toObjectId) } }, {
        projection: { 'system_manager.channel': 1 }
      })
      const claims = new Map<string, ChannelClaim>()
      for (const { _id, system_manager: ours } of found) {
        if (ours?.channel && ours.channel.holder !== null) {
          claims.set(_id.toHexString(), { holder: ours.channel.holder, claim: ours.channel.claim })
        }
      }
      const names = new Set([...claims.values()].map(({ holder }) => `process/${holder}`))
      const living = await leases.findMany({ _id: { $in: [...names] }, expires_at: { $gt: new Date() } }, {
        projection: { _id: 1 }
      })
      const alive = new Set(living.map(({ _id }) => _id))
      return new Map([...claims].filter(([, { holder }]) => alive.has(`process/${holder}`)))
    }
  }
}
