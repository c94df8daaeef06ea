import type { Cluster, ClusterId } from '../../schemas/cluster.js'
import { silenceOf } from '../../schemas/cluster-facts.js'
import type { ClusterSign } from '../../stores/store.js'

/** What is known of one cluster. Times are milliseconds of this process's monotonic clock. */
interface Sighting {
  /** Last sign of life; may lie before the start of the process. */
  at: number
  /** When this process last looked, in the store or by hearing of it. */
  seen: number
  /** `last_modified_timestamp` of that sign in the store, Unix seconds: another value there is another sign. */
  stamp: number
  /** It is stored that the cluster was lost, and that what it ran was started elsewhere. */
  lost: boolean
  evicted: boolean
}

/** A cluster as the watch for silence needs it. */
export interface Vitals {
  id: ClusterId
  /** Milliseconds since its last sign of life; 0 while it has an open channel here. */
  silentMs: number
  lost: boolean
  evicted: boolean
}

/**
 * Who is alive, by the monotonic clock of this process. What other processes hear is seen in the store: each change of
 * a stored time is a sign of life between this look and the one before, whatever the time says. So neither a step of
 * this machine's clock nor a wrong clock of another one makes a cluster look dead or alive.
 */
export interface Liveness {
  /** This process had a sign of life, which is stored with `stamp`, Unix milliseconds. */
  heard (id: ClusterId, stamp: number): void
  /** The cluster has an open channel here, or has it no longer. While it has one, it is not lost. */
  connected (id: ClusterId, isOpen: boolean): void
  /** Takes in the signs of all clusters. @param read Reads them from the store. */
  observe (read: () => Promise<ClusterSign[]>): Promise<void>
  /** Milliseconds since the last sign of life. */
  silence (cluster: Pick<Cluster, 'id' | 'last_modified_timestamp'>): number
  /** The 45 s rule (contract section 4). */
  isActive (cluster: Pick<Cluster, 'id' | 'last_modified_timestamp'>): boolean
  /** How many are active. */
  countActive (): number
  /** All clusters that are known here. */
  vitals (): Vitals[]
  /** What the watch for silence stored about a cluster. */
  marked (id: ClusterId, marks: Pick<Vitals, 'lost' | 'evicted'>): void
  forget (id: ClusterId): void
}

/**
 * @param graceMs Milliseconds of silence after which a cluster is inactive.
 * @param monotonic The clock, in milliseconds.
 */
export function createLiveness (graceMs: number, monotonic = () => performance.now()): Liveness {
  const sightings = new Map<ClusterId, Sighting>()
  const open = new Set<ClusterId>()

  function see (id: ClusterId, stamp: number): Sighting {
    const known = sightings.get(id)
    const now = monotonic()
    if (known?.stamp === stamp) return Object.assign(known, { seen: now })
    const silentMs = silenceOf({ last_modified_timestamp: stamp }, Date.now())
    // It came between this look and the one before: within that, the wall clock may say when.
    if (known) {
      const at = Math.min(now, Math.max(known.seen, now - silentMs))
      return Object.assign(known, { at, seen: now, stamp })
    }
    // Of the time before there is only the wall clock. A time far in the future says that the clock was set back since.
    const at = now - (silentMs < -graceMs ? graceMs : Math.max(0, silentMs))
    const sighting = { at, seen: now, stamp, lost: false, evicted: false }
    sightings.set(id, sighting)
    return sighting
  }

  const liveness: Liveness = {
    heard (id, stamp) {
      Object.assign(see(id, stamp / 1000), { at: monotonic() })
    },

    connected (id, isOpen) {
      if (isOpen) open.add(id)
      else open.delete(id)
    },

    async observe (read) {
      const asked = monotonic()
      const signs = await read()
      const present = new Set<ClusterId>()
      for (const { id, last_modified_timestamp: stamp, lost, evicted } of signs) {
        present.add(id)
        Object.assign(see(id, stamp), { lost, evicted })
      }
      // One that registered here while the store answered is not in the answer.
      for (const [id, { at }] of sightings) if (!present.has(id) && at < asked) sightings.delete(id)
    },

    silence: ({ id, last_modified_timestamp: stamp }) => monotonic() - see(id, stamp).at,

    isActive: cluster => liveness.silence(cluster) < graceMs,

    countActive () {
      const since = monotonic() - graceMs
      let count = 0
      for (const { at } of sightings.values()) if (at > since) count++
      return count
    },

    vitals () {
      const now = monotonic()
      return [...sightings].map(([id, { at, lost, evicted }]) =>
        ({ id, silentMs: open.has(id) ? 0 : now - at, lost, evicted }))
    },

    marked (id, marks) {
      const seen = sightings.get(id)
      if (seen) Object.assign(seen, marks)
    },

    forget (id) {
      sightings.delete(id)
      open.delete(id)
    }
  }
  return liveness
}
