import type { ClusterId } from '../../../schemas/cluster.js'
import type { JobId } from '../../../schemas/job.js'

/**
 * Jobs that a cluster has just deleted. An original cluster manager cannot stand a delete followed at once by a deploy
 * of the same job (contract section 2): its worker is still removing what the deploy would find.
 */
export interface RedeployDelays {
  /** The cluster has answered a delete of the job: commands about it wait from now on. */
  begin (clusterId: ClusterId, jobId: JobId): void
  /** When commands about the job may go to the cluster again, by performance.now(); 0 when they may at any time. */
  end (clusterId: ClusterId, jobId: JobId): number
}

export function createRedeployDelays (delayMs: number): RedeployDelays {
  /** In the order in which they end, since all are of one length. */
  const ends = new Map<string, number>()
  const key = (clusterId: ClusterId, jobId: JobId) => `${clusterId} ${jobId}`

  return {
    begin (clusterId, jobId) {
      const now = performance.now()
      for (const [past, end] of ends) {
        if (end > now) break
        ends.delete(past)
      }
      ends.delete(key(clusterId, jobId))
      ends.set(key(clusterId, jobId), now + delayMs)
    },

    end: (clusterId, jobId) => ends.get(key(clusterId, jobId)) ?? 0
  }
}
