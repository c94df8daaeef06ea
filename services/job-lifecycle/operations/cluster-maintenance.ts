import type { FastifyBaseLogger } from 'fastify'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Requester } from '../../../plugins/requester.js'
import type { ClusterStore, JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { Committer, Decide } from '../commit.js'
import { forgotten } from '../state-machine/decisions/cluster-loss.js'
import { drainEnded, moved } from '../state-machine/decisions/move.js'

/** Cluster maintenance by operators, with its effects on jobs. Unknown clusters: `cluster_not_found`. */
export interface ClusterMaintenance {
  /**
   * Deletes a cluster. `cluster_in_use` while a job is placed on it, unless forced: then its instances are placed anew,
   * and whatever it still had to remove counts as removed. Forced, also one that cannot be understood.
   */
  remove (clusterId: ClusterId, options: { force: boolean, by: Requester }): Promise<void>
  /** The cluster takes no new instances. */
  cordon (clusterId: ClusterId, by: Requester): Promise<Cluster>
  /** The cluster takes no new instances, and its own move away: each starts elsewhere before it is removed here. */
  drain (clusterId: ClusterId, by: Requester): Promise<Cluster>
  /** The cluster takes instances again. Those that have found no other place yet stay. */
  uncordon (clusterId: ClusterId, by: Requester): Promise<Cluster>
}

const SCHEDULING_CHANGED: Readonly<Record<Cluster['scheduling'], string>> = {
  active: 'a cluster takes instances again',
  cordoned: 'a cluster takes no new instances any more',
  draining: 'a cluster is drained: its instances move away'
}

export function createClusterMaintenance ({ jobs, clusters, registry, committer, log }: {
  jobs: JobStore
  clusters: ClusterStore
  registry: ClusterRegistry
  committer: Committer
  log: Pick<FastifyBaseLogger, 'info'>
}): ClusterMaintenance {
  async function setScheduling (
    clusterId: ClusterId,
    scheduling: Cluster['scheduling'],
    by: Requester
  ): Promise<Cluster> {
    const cluster = await registry.get(clusterId)
    await by.confirm()
    await clusters.update(clusterId, { scheduling })
    const about = { cluster: cluster.cluster_name, cluster_id: clusterId, cause: by.cause }
    log.info({ ...about, from: cluster.scheduling, to: scheduling }, SCHEDULING_CHANGED[scheduling])
    return { ...cluster, scheduling }
  }

  /** The name of a cluster; its id where it cannot be understood, which must not keep its operator from removing it. */
  async function nameOf (clusterId: ClusterId, force: boolean): Promise<string> {
    try {
      return (await registry.get(clusterId)).cluster_name
    } catch (err) {
      if (force && err instanceof ApiError && err.code === 'cluster_unreadable') return clusterId
      throw err
    }
  }

  /** Decides on all jobs of the cluster, then throws the first error, if any. */
  async function changeAll (clusterId: ClusterId, decide: Decide): Promise<void> {
    const [undecided] = await committer.changeOn(clusterId, decide)
    if (undecided !== undefined) throw undecided
  }

  return {
    async remove (clusterId, { force, by }) {
      const name = await nameOf(clusterId, force)
      if (!force) {
        const [job] = await jobs.list({ cluster_id: clusterId, limit: 1 })
        // A job whose document cannot be read is not listed, but its instances still count.
        const [instance] = job ? [] : await jobs.instancesOn(clusterId)
        const holder = job?.job_name ?? instance?.job_id
        if (holder !== undefined) {
          throw new ApiError('cluster_in_use', `${holder} is placed on it`, {
            hint:
              'Drain it first (POST /api/v1/clusters/:cluster/drain), or repeat with ?force=true to delete it with ' +
                'all its instances'
          })
        }
      }
      await by.confirm()
      // Before, so that no job is left behind if the process ends in between; after, for what was placed meanwhile.
      const decide: Decide = job => forgotten(job, clusterId, by.cause)
      await changeAll(clusterId, decide)
      await registry.remove(clusterId)
      log.info({ cluster: name, cluster_id: clusterId, cause: by.cause, force }, 'a cluster was deleted')
      await changeAll(clusterId, decide)
    },

    cordon: (clusterId, by) => setScheduling(clusterId, 'cordoned', by),

    async drain (clusterId, by) {
      const cluster = await setScheduling(clusterId, 'draining', by)
      await changeAll(
        clusterId,
        job => moved(job, { from: new Set([clusterId]), location: null, why: 'drain', order: 'start-first' }, by.cause)
      )
      return cluster
    },

    async uncordon (clusterId, by) {
      const cluster = await setScheduling(clusterId, 'active', by)
      await changeAll(clusterId, job => drainEnded(job, clusterId, by.cause))
      committer.events.emit('unplaced')
      return cluster
    }
  }
}
