import type { Command } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { JobId } from '../../../schemas/job.js'

/**
 * Jobs that a cluster has just deleted. An original cluster manager cannot stand a delete followed at once by a deploy
 * of the same job (contract section 2): its worker is still removing what the deploy would find.
 */
export interface RedeployDelays {
  /** The cluster has answered a delete of the job: commands about it wait from now on. */
  begin (clusterId: ClusterId, jobId: JobId): void
  /** When this command may go to the cluster, by performance.now(); 0 when it may at any time. */
  end (clusterId: ClusterId, command: Pick<Command, 'job_id' | 'removed_at'>): number
}

export function createRedeployDelays (delayMs: number): RedeployDelays {
  /** In the order in which they were noted; none is longer than `delayMs`. */
  const ends = new Map<string, number>()
  const key = (clusterId: ClusterId, jobId: JobId) => `${clusterId} ${jobId}`

  function note (name: string, ms: number): number {
    const now = performance.now()
    for (const [past, end] of ends) {
      if (end > now) break
      ends.delete(past)
    }
    ends.delete(name)
    ends.set(name, now + ms)
    return now + ms
  }

  return {
    begin (clusterId, jobId) {
      note(key(clusterId, jobId), delayMs)
    },

    end (clusterId, { job_id: jobId, removed_at: removedAt }) {
      const name = key(clusterId, jobId)
      const known = ends.get(name)
      if (known !== undefined || removedAt === undefined) return known ?? 0
      // Another process, or this one before it was started anew, had the answer. Clocks may differ.
      const left = Math.min(Date.parse(removedAt) + delayMs - Date.now(), delayMs)
      return left > 0 ? note(name, left) : 0
    }
  }
}
