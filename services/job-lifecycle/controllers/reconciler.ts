import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Lease } from '../../../plugins/leases.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import type { ClusterStore, JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { ClusterMaintenance } from '../operations/cluster-maintenance.js'
import type { Committer } from '../commit.js'
import { expireDeadlines } from '../state-machine/decisions/deadlines.js'
import type { Policy } from '../state-machine/policy.js'

/** Jobs that one step takes. */
const PAGE = 200

/** Lost clusters that one round looks at for a sign of life which another process has heard. */
const LOST_PAGE = 200

/**
 * Does what time brings: ends the patience with what is overdue, gives up clusters that are silent for too long, and
 * takes back those that speak again. Of several System Managers the one with the lease does it.
 */
export function startReconciler (
  { jobs, clusters, registry, maintenance, committer, policy, lease, failoverMs, intervalMs, signal, log }: {
    jobs: JobStore
    clusters: ClusterStore
    registry: ClusterRegistry
    maintenance: ClusterMaintenance
    committer: Committer
    policy: Policy
    lease: Lease
    failoverMs: number
    intervalMs: number
    signal: AbortSignal
    log: FastifyBaseLogger
  }
): { stopped: Promise<void> } {
  /** Clusters that are lost, in the order in which they are looked at. */
  const lostIds = new Set<ClusterId>()
  const heard = new Set<ClusterId>()
  /** Silence that began before this was dealt with, Unix milliseconds. */
  let doneUntil: number | undefined

  registry.events.on('alive', id => {
    if (lostIds.has(id)) heard.add(id)
  })

  async function endPatience (fence: number): Promise<void> {
    const due = await jobs.due(new Date().toISOString(), PAGE)
    for (const { id } of due) await committer.change(id, job => expireDeadlines(job, policy, 'system'), fence)
  }

  /** Only clusters whose silence has grown too long since the last round; all silent ones in the first. */
  async function loseSilent (fence: number): Promise<void> {
    const until = Date.now() - failoverMs
    let page: Cluster[]
    let after: ClusterId | undefined
    do {
      page = await clusters.list({
        silentSince: until,
        limit: PAGE,
        ...(doneUntil !== undefined && { activeSince: doneUntil }),
        ...(after !== undefined && { after })
      })
      for (const cluster of page) {
        if (cluster.lost_at === null) {
          log.warn(
            { cluster: cluster.cluster_name, cluster_id: cluster.id },
            'a cluster gives no sign of life, what it runs is started elsewhere'
          )
          await maintenance.lose(cluster, fence)
        }
        lostIds.add(cluster.id)
      }
      after = page.at(-1)?.id
    } while (page.length === PAGE && !signal.aborted)
    doneUntil = until
  }

  /**
   * After a start or an outage of the database clusters have had no chance to be heard: their silence means nothing
   * yet.
   */
  function hasListened (): boolean {
    const { answeredSince } = lease
    return answeredSince !== undefined && Date.now() - answeredSince >= failoverMs
  }

  async function recoverHeard (fence: number): Promise<void> {
    const turn = [...heard, ...[...lostIds].slice(0, LOST_PAGE)]
    heard.clear()
    for (const id of turn) {
      const cluster = await clusters.get(id)
      lostIds.delete(id)
      if (!cluster) continue
      if (registry.isActive(cluster)) {
        log.info({ cluster: cluster.cluster_name, cluster_id: id }, 'a cluster that was lost is back')
        if (cluster.lost_at !== null) await maintenance.recover(cluster, fence)
      } else {
        lostIds.add(id)
      }
    }
  }

  async function run (): Promise<void> {
    let lastFence: number | undefined
    while (!signal.aborted) {
      const fence = await lease.held(signal)
      // Who has just taken over looks at everything.
      if (fence !== lastFence) doneUntil = undefined
      lastFence = fence
      try {
        await endPatience(fence)
        await recoverHeard(fence)
        if (hasListened()) await loseSilent(fence)
      } catch (err) {
        log.error({ err }, 'reconciling failed, it is tried again')
      }
      await sleep(intervalMs, undefined, { signal, ref: false })
    }
  }

  return {
    stopped: run().catch(err => {
      if (!signal.aborted) log.fatal({ err }, 'the reconciler ended')
    })
  }
}
