import { bulkhead } from 'cockatiel'
import type { Lease } from '../../../plugins/leases.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import { startPushWorker, type PushContext, type PushWorker } from './worker.js'

/**
 * Pushes commands over HTTP to clusters without an open channel (contract section 3). Of all processes on a database
 * one does that, while it holds the lease for it. One cluster that is slow or away delays no other.
 */
export interface HttpPush {
  /** There may be commands for these clusters. */
  wake (clusterIds: ClusterId[]): void
  /** The cluster gave a sign of life. */
  hurry (clusterId: ClusterId): void
  /** Leaves the cluster to its channel. Once it resolves, nothing is on its way to it any more. */
  leave (clusterId: ClusterId): Promise<void>
  /** Ends for good. */
  stop (): Promise<void>
}

/** Calls on the wire at a time; the other clusters wait for their turn. */
const MAX_CALLS = 128

/** Milliseconds that a call has to be answered when the channel of its cluster opens, or the server closes. */
const PATIENCE_MS = 1000

/**
 * @param isHeld Whether a channel of this cluster is open, in any process.
 * @param hasListened Whether this process could be reached already: a cluster manager reports at once where it runs an
 *   instance, and does not repeat it. Until then nothing is pushed.
 */
export function createHttpPush (
  { lease, isHeld, hasListened, ...context }: Omit<PushContext, 'calls' | 'leads' | 'isOurs'> & {
    lease: Lease
    isHeld (clusterId: ClusterId): Promise<boolean>
    hasListened (): boolean
  }
): HttpPush {
  const workers = new Map<ClusterId, PushWorker>()
  const calls = bulkhead(MAX_CALLS, Infinity)
  let stopped = false

  const leads = (): boolean => !stopped && lease.token !== undefined && hasListened()
  const isOurs = async (clusterId: ClusterId): Promise<boolean> => leads() && !await isHeld(clusterId)

  return {
    wake (clusterIds) {
      if (!leads()) return
      for (const id of clusterIds) {
        const worker = workers.get(id)
        if (worker) worker.wake()
        else workers.set(id, startPushWorker(id, () => workers.delete(id), { ...context, calls, leads, isOurs }))
      }
    },

    hurry: clusterId => workers.get(clusterId)?.hurry(),

    leave: async clusterId => await workers.get(clusterId)?.stop(PATIENCE_MS),

    async stop () {
      stopped = true
      await Promise.all([...workers.values()].map(worker => worker.stop(PATIENCE_MS)))
      await context.caller.close()
    }
  }
}
