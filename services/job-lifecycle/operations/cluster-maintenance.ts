import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Job } from '../../../schemas/job.js'
import type { ClusterStore, JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { Committer, Decide } from '../commit.js'
import { forgotten, lost, recovered } from '../state-machine/decisions/cluster-loss.js'
import { drainEnded, moved } from '../state-machine/decisions/move.js'

/** What becomes of jobs when something happens to a cluster. Unknown clusters: `cluster_not_found`. */
export interface ClusterMaintenance {
  /**
   * Forgets a cluster. `cluster_in_use` while a job is placed on it, unless forced: then its instances are placed anew,
   * and what it was still to remove counts as removed.
   */
  removeCluster (clusterId: ClusterId, options: { force: boolean, cause: string }): Promise<void>
  /** The cluster takes no new instances. */
  cordon (clusterId: ClusterId, cause: string): Promise<Cluster>
  /** The cluster takes no new instances, and what it has is started elsewhere before it goes. */
  drain (clusterId: ClusterId, cause: string): Promise<Cluster>
  /** The cluster takes instances again; what has found no other place yet stays. */
  uncordon (clusterId: ClusterId, cause: string): Promise<Cluster>
  /** The cluster has been silent for too long: its instances are started elsewhere where their descriptors permit. */
  lose (cluster: Cluster, fence: number): Promise<void>
  /** A cluster that was lost speaks again. */
  recover (cluster: Cluster, fence: number): Promise<void>
}

/** Milliseconds within which a loss counts with the one before: the cluster comes and goes. */
const FLAPPING_MS = 3_600_000

/** Jobs read at a time. */
const PAGE = 200

export function createClusterMaintenance ({ jobs, clusters, registry, committer }: {
  jobs: JobStore
  clusters: ClusterStore
  registry: ClusterRegistry
  committer: Committer
}): ClusterMaintenance {
  async function onEachJob (clusterId: ClusterId, decide: Decide, fence?: number): Promise<void> {
    let page: Job[]
    let after: string | undefined
    do {
      page = await jobs.list({ cluster_id: clusterId, limit: PAGE, ...(after !== undefined && { after }) })
      for (const { id } of page) await committer.change(id, decide, fence)
      after = page.at(-1)?.id
    } while (page.length === PAGE)
  }

  async function setScheduling (clusterId: ClusterId, scheduling: Cluster['scheduling']): Promise<Cluster> {
    const cluster = await registry.get(clusterId)
    await clusters.update(clusterId, { scheduling })
    return { ...cluster, scheduling }
  }

  return {
    async removeCluster (clusterId, { force, cause }) {
      await registry.get(clusterId)
      if (!force) {
        const [job] = await jobs.list({ cluster_id: clusterId, limit: 1 })
        if (job) {
          throw new ApiError('cluster_in_use', `${job.job_name} is on it`, {
            hint:
              'Drain it first (POST /api/v1/clusters/:cluster/drain), or repeat with ?force=true to have it ' +
                'forgotten with all that it has'
          })
        }
      }
      // Before, so that nothing is forgotten should the process end in between; after, for what was placed meanwhile.
      const decide: Decide = job => forgotten(job, clusterId, cause)
      await onEachJob(clusterId, decide)
      await registry.remove(clusterId)
      await onEachJob(clusterId, decide)
    },

    cordon: clusterId => setScheduling(clusterId, 'cordoned'),

    async drain (clusterId, cause) {
      const cluster = await setScheduling(clusterId, 'draining')
      await onEachJob(
        clusterId,
        job => moved(job, { from: new Set([clusterId]), location: null, why: 'drain', order: 'start-first' }, cause)
      )
      return cluster
    },

    async uncordon (clusterId, cause) {
      const cluster = await setScheduling(clusterId, 'active')
      await onEachJob(clusterId, job => drainEnded(job, clusterId, cause))
      committer.events.emit('unplaced')
      return cluster
    },

    async lose ({ id, cluster_name: name, recovered_at: recoveredAt, losses }, fence) {
      // The jobs first: should the process end in between, the next one finds the cluster not lost yet and goes on.
      await onEachJob(id, job => lost(job, id, name, 'system'), fence)
      const now = new Date()
      const again = recoveredAt !== null && now.getTime() - Date.parse(recoveredAt) < FLAPPING_MS
      await clusters.update(id, { lost_at: now.toISOString(), losses: again ? losses + 1 : 1 })
    },

    async recover ({ id, cluster_name: name }, fence) {
      await onEachJob(id, job => recovered(job, id, name, 'system'), fence)
      await clusters.update(id, { lost_at: null, recovered_at: new Date().toISOString() })
    }
  }
}
