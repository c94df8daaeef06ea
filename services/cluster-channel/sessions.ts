import type { ClusterId } from '../../schemas/cluster.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import type { JobLifecycle } from '../job-lifecycle/lifecycle.js'
import { CLOSE, type Session } from './session.js'

/** All sessions, and which of them speaks for which cluster. */
export interface Sessions {
  /** Keeps track of a session until it has ended. */
  add (session: Session): void
  /** The session speaks for the cluster from now on; an older one is closed. */
  claim (clusterId: ClusterId, session: Session): void
  /** True while an open session speaks for the cluster. */
  isConnected (clusterId: ClusterId): boolean
  /** Resolves once every session has ended and none of them does anything any more. */
  ended (): Promise<void>
}

export function createSessions (registry: Pick<ClusterRegistry, 'events'>, lifecycle: Pick<JobLifecycle, 'events'>): Sessions {
  const all = new Set<Session>()
  const byCluster = new Map<ClusterId, Session>()

  // One listener for all sessions, not one for each of ten thousand.
  lifecycle.events.on('commands', clusterIds => {
    for (const id of clusterIds) byCluster.get(id)?.wake()
  })
  registry.events.on('removed', id => {
    byCluster.get(id)?.end(CLOSE.removed, { code: 'cluster_removed', message: 'this cluster was deleted here; register again to come back' })
  })

  return {
    add (session) {
      all.add(session)
      session.ended.then(() => {
        all.delete(session)
        // The late end of a replaced session must not take the newer one away.
        if (session.clusterId !== undefined && byCluster.get(session.clusterId) === session) byCluster.delete(session.clusterId)
      })
    },

    claim (clusterId, session) {
      const older = byCluster.get(clusterId)
      byCluster.set(clusterId, session)
      if (older !== session) older?.end(CLOSE.replaced, { code: 'session_replaced', message: 'a newer session of this cluster took over' })
    },

    isConnected: clusterId => byCluster.get(clusterId)?.isOpen ?? false,

    async ended () {
      await Promise.all([...all].map(session => session.ended))
    }
  }
}
