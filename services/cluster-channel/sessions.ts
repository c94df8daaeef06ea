import type { FastifyBaseLogger } from 'fastify'
import type { Leases } from '../../plugins/leases.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { ChannelStore } from '../../stores/store.js'
import type { Liveness } from '../cluster-registry/liveness.js'
import { CLOSE } from './close-codes.js'
import type { Complaint } from './frames.js'

/** A channel of a cluster, as the other sessions need to know it. */
export interface Session {
  /** The cluster it speaks for, once that has registered. */
  readonly clusterId: ClusterId | undefined
  /** False from the first closing frame on. */
  readonly isOpen: boolean
  /** There may be commands in the outbox. */
  wake (): void
  /** Whether the peer answers a ping within so many milliseconds. */
  answers (withinMs: number): Promise<boolean>
  /** Tells the peer what is wrong, and goes on. */
  tell (complaint: Complaint): void
  /** Says why and closes; nothing that comes later counts. */
  end (closeCode: number, complaint: Complaint): void
  /** Resolves once the socket is closed and nothing that came on it is still being worked on. */
  ended: Promise<void>
}

/** All sessions of this process, and which of them speaks for which cluster. */
export interface Sessions {
  /** Keeps track of a session until it has ended. */
  add (session: Session): void
  /**
   * The session speaks for the cluster from now on, for all processes on the database; an older one is closed. When a
   * newer one was claimed meanwhile, this one is closed instead.
   */
  claim (clusterId: ClusterId, session: Session): Promise<void>
  /**
   * To await before a frame counts. A process that was suspended, or without its database, for longer than its lease
   * may read what a cluster sent before it opened a newer session elsewhere: this closes such older sessions first.
   * Undefined when there is nothing to wait for.
   */
  confirm (): Promise<void> | undefined
  /** There may be commands for these clusters. */
  wake (clusterIds: ClusterId[]): void
  /** The cluster was deleted: its session is closed. */
  remove (clusterId: ClusterId): void
  /** Closes the sessions of these clusters, or of all, whose channel a newer session in another process has claimed. */
  yieldToNewer (clusterIds?: ClusterId[]): Promise<void>
  /** The open session of this process that speaks for the cluster. */
  of (clusterId: ClusterId): Session | undefined
  /** True while an open session of this process speaks for the cluster. */
  isConnected (clusterId: ClusterId): boolean
  /** How many clusters have an open session of this process. */
  open (): number
  /** Resolves once every session has ended and none of them does anything any more. */
  ended (): Promise<void>
}

/** Claims asked for at a time. */
const PAGE = 500

export function createSessions (
  channels: ChannelStore,
  { holder, processLease }: Leases,
  liveness: Pick<Liveness, 'connected'>,
  log: FastifyBaseLogger
): Sessions {
  const all = new Map<Session, Promise<void>>()
  const byCluster = new Map<ClusterId, { session: Session, claim: number }>()
  /**
   * `answeredSince` of the process lease when it was last checked that no session here has a newer one elsewhere. While
   * it stays the same, notifications and sweeps find those.
   */
  let confirmed: number | undefined
  let confirming: Promise<void> | undefined

  async function release (clusterId: ClusterId, claim: number): Promise<void> {
    // Where that fails, the claim ends when it is claimed again or this process ends.
    await channels.release(clusterId, claim).catch(err =>
      log.warn({ err, cluster_id: clusterId }, 'the end of a channel could not be stored')
    )
  }

  async function leave (clusterId: ClusterId, session: Session): Promise<void> {
    const held = byCluster.get(clusterId)
    // The late end of a replaced session must not take the newer one away.
    if (held?.session !== session) return
    byCluster.delete(clusterId)
    liveness.connected(clusterId, false)
    await release(clusterId, held.claim)
  }

  function replace (session: Session): void {
    session.end(CLOSE.replaced, { code: 'session_replaced', message: 'a newer session of this cluster took over' })
  }

  async function yieldToNewer (clusterIds: Iterable<ClusterId>): Promise<void> {
    const ours = [...clusterIds].filter(id => byCluster.has(id))
    for (let start = 0; start < ours.length; start += PAGE) {
      for (const [id, { claim }] of await channels.current(ours.slice(start, start + PAGE))) {
        const held = byCluster.get(id)
        if (held && held.claim < claim) replace(held.session)
      }
    }
  }

  return {
    add (session) {
      all.set(
        session,
        session.ended.then(async () => {
          if (session.clusterId !== undefined) await leave(session.clusterId, session)
          all.delete(session)
        })
      )
    },

    async claim (clusterId, session) {
      const claim = await channels.claim(clusterId, holder)
      if (!session.isOpen) return await release(clusterId, claim)
      const held = byCluster.get(clusterId)
      if (held && held.claim > claim) return replace(session)
      byCluster.set(clusterId, { session, claim })
      liveness.connected(clusterId, true)
      if (held && held.session !== session) replace(held.session)
    },

    wake (clusterIds) {
      for (const id of clusterIds) byCluster.get(id)?.session.wake()
    },

    remove (clusterId) {
      byCluster.get(clusterId)?.session.end(CLOSE.removed, {
        code: 'cluster_removed',
        message: 'this cluster was deleted here; register again to come back'
      })
    },

    yieldToNewer: (clusterIds = [...byCluster.keys()]) => yieldToNewer(clusterIds),

    confirm () {
      const { token, answeredSince } = processLease
      if (token !== undefined && answeredSince === confirmed) return undefined
      confirming ??= yieldToNewer(byCluster.keys()).then(() => {
        confirmed = answeredSince
      }).finally(() => {
        confirming = undefined
      })
      return confirming
    },

    of (clusterId) {
      const held = byCluster.get(clusterId)
      return held?.session.isOpen ? held.session : undefined
    },

    isConnected: clusterId => byCluster.get(clusterId)?.session.isOpen ?? false,

    open: () => [...byCluster.values()].filter(({ session }) => session.isOpen).length,

    async ended () {
      await Promise.all(all.values())
    }
  }
}
