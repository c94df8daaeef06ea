import type { LeaseStore } from '../store.js'
import type { Connection } from './connection.js'
import { isDuplicateKey } from './failures.js'

/** Times are those of the processes, whose clocks have to agree to within a few seconds. */
export function createLeaseStore ({ collections: { leases } }: Connection): LeaseStore {
  return {
    async acquire (name, holder, ttlMs) {
      const now = new Date()
      const expiry = { expires_at: new Date(now.getTime() + ttlMs) }
      const prolonged = await leases.findOneAndUpdate({ _id: name, holder, expires_at: { $gt: now } }, {
        $set: expiry
      })
      if (prolonged) return prolonged.token
      try {
        const taken = await leases.findOneAndUpdate(
          { _id: name, expires_at: { $lte: now } },
          { $set: { holder, ...expiry }, $inc: { token: 1 } },
          { upsert: true, returnDocument: 'after' }
        )
        return taken?.token
      } catch (err) {
        // It is there and has not expired, so that the upsert tried to insert it once more.
        if (isDuplicateKey(err)) return undefined
        throw err
      }
    },

    async release (name, holder) {
      await leases.updateOne({ _id: name, holder }, { $set: { holder: null, expires_at: new Date(0) } })
    }
  }
}
