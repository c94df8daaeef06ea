import type { FastifyBaseLogger } from 'fastify'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import type { ClusterStore } from '../../../stores/store.js'
import type { Liveness, Vitals } from '../../cluster-registry/liveness.js'
import type { Committer } from '../commit.js'
import { registeredAs } from '../state-machine/decisions/cluster-kind.js'
import { evicted, recovered, silenced } from '../state-machine/decisions/cluster-loss.js'
import type { EvictionHold } from './eviction-hold.js'

/** Clusters read at a time. */
const PAGE = 200

/** A cluster lost again within this many milliseconds of its recovery is flapping: its losses add up. */
const FLAPPING_MS = 3_600_000

/** What a turn needs. */
export interface FailoverContext {
  clusters: Pick<ClusterStore, 'list' | 'getMany' | 'update'>
  liveness: Pick<Liveness, 'vitals' | 'marked'>
  hold: EvictionHold
  committer: Pick<Committer, 'changeOn'>
  /** Milliseconds of silence after which a cluster is inactive (contract section 4). */
  graceMs: number
  /** Milliseconds of silence after which a cluster counts as lost and its instances fail over. */
  failoverMs: number
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

/**
 * One turn of the loop. Silence means nothing until clusters have had a chance to report for long enough.
 * @param listenedMs For how long they have had one.
 */
export type SilenceWatch = (turn: Turn, listenedMs: number, now?: number) => Promise<void>

/**
 * Recovers lost clusters that report again, marks as lost those that have been silent for too long, and evicts them:
 * what they run is started elsewhere, unless that is held. What was decided on a cluster is stored with it, so the next
 * leader continues where this one stopped. A new leader first decides anew on the jobs of all evicted clusters, for
 * those that could not be decided on when their cluster was lost. It notes on the jobs of original clusters that these
 * are such, for those that were stored before that was noted.
 */
export function createSilenceWatch (context: FailoverContext): SilenceWatch {
  const { clusters, liveness, hold, graceMs, failoverMs, log } = context
  const about = ({ id, cluster_name: cluster }: Cluster) => ({ cluster_id: id, cluster })
  /** The leaderships in which that was done. */
  let settledFence: number | undefined
  let notedFence: number | undefined
  const isSilent = ({ silentMs }: Vitals) => silentMs >= graceMs
  /** The inactive clusters of the last turn. */
  let inactive: Set<ClusterId> | undefined

  /** Acts on these clusters, as they are stored now. */
  async function each (turn: Turn, found: Vitals[], act: (cluster: Cluster) => Promise<void>): Promise<void> {
    const ids = found.map(({ id }) => id)
    for (let start = 0; start < ids.length && !turn.signal.aborted; start += PAGE) {
      await turn.each(await clusters.getMany(ids.slice(start, start + PAGE)), act, about)
    }
  }

  /** A cluster that becomes inactive gets no new instances: operators look for that. */
  async function logActivity (turn: Turn, vitals: Vitals[]): Promise<void> {
    const before = inactive
    const [silent, active] = [vitals.filter(isSilent), vitals.filter(each => !isSilent(each))]
    inactive = new Set(silent.map(({ id }) => id))
    // What was so before this process looked was told by another one, or before.
    if (!before) return
    await each(turn, silent.filter(({ id }) => !before.has(id)), async cluster => {
      log.warn(about(cluster), `a cluster is inactive: it has given no sign of life for ${graceMs / 1000} s`)
    })
    await each(turn, active.filter(({ id }) => before.has(id)), async cluster => {
      log.info(about(cluster), 'a cluster is active again')
    })
  }

  return async (turn, listenedMs, now = Date.now()) => {
    const { fence } = turn
    // Those that this turn marks are seen by the next one.
    const vitals = liveness.vitals()
    const lost = vitals.filter(each => each.lost)
    await each(turn, lost.filter(each => !isSilent(each)), cluster => recover(context, cluster, fence, now))
    if (notedFence !== fence) {
      const originals = (await clusters.list({})).filter(isOriginal)
      await turn.each(originals, cluster => noteOriginal(context, cluster, fence), about)
      hold.resume(vitals)
      notedFence = fence
    }
    const wasHeld = hold.reason()
    const isHeld = hold.update(vitals, listenedMs)
    if (isHeld && wasHeld === undefined) {
      log.warn({ reason: hold.reason() }, 'evictions are held: nothing is started elsewhere, nothing is removed')
    } else if (!isHeld && wasHeld !== undefined) {
      log.warn({ reason: wasHeld }, 'evictions are no longer held: clusters that are still silent are evicted')
    }
    if (listenedMs >= graceMs) await logActivity(turn, vitals)
    if (listenedMs < failoverMs) return
    const away = lost.filter(isSilent)
    if (settledFence !== fence) {
      await each(turn, away.filter(({ evicted }) => evicted), cluster => decideAgain(context, cluster, fence, now))
      settledFence = fence
    }
    const gone = vitals.filter(each => !each.lost && each.silentMs >= failoverMs)
    await each(turn, gone, cluster => lose(context, cluster, fence, now))
    if (isHeld) return
    await each(turn, away.filter(({ evicted }) => !evicted), async cluster => {
      if (hold.mayEvict()) await evict(context, cluster, fence, now)
    })
  }
}

async function noteOriginal ({ committer }: FailoverContext, { id }: Cluster, fence: number): Promise<void> {
  await committer.changeOn(id, job => registeredAs(job, id, true), fence)
}

/** The cluster has been silent for too long. Its instances fail over where their descriptors permit, unless held. */
async function lose (context: FailoverContext, cluster: Cluster, fence: number, now: number): Promise<void> {
  const { id, cluster_name: name, lost_at: lostAt, recovered_at: recoveredAt, losses } = cluster
  if (lostAt !== null) return
  const { clusters, committer, hold, liveness, log } = context
  const at = new Date(now)
  const again = recoveredAt !== null && now - Date.parse(recoveredAt) < FLAPPING_MS
  const fields = { lost_at: at.toISOString(), losses: again ? losses + 1 : 1 }
  // A decision that fails is logged and does not hold up the cluster. The jobs come first: if the process ends in
  // between, the next leader finds the cluster not yet marked as lost and repeats this.
  if (hold.isHeld) {
    log.warn({ cluster: name, cluster_id: id }, 'a cluster gives no sign of life, like most of them')
    await committer.changeOn(id, job => silenced(job, id, name, 'system', at), fence)
    await clusters.update(id, { ...fields, evicted_at: null })
    liveness.marked(id, { lost: true, evicted: false })
    return
  }
  log.warn({ cluster: name, cluster_id: id }, 'a cluster gives no sign of life, what it runs is started elsewhere')
  await committer.changeOn(id, job => evicted(job, id, name, 'system', at), fence)
  await clusters.update(id, { ...fields, evicted_at: at.toISOString() })
  liveness.marked(id, { lost: true, evicted: true })
}

/** A cluster that was held is still silent. */
async function evict (context: FailoverContext, cluster: Cluster, fence: number, now: number): Promise<void> {
  const { clusters, committer, liveness, log } = context
  const { id, cluster_name: name, lost_at: lostAt, evicted_at: evictedAt } = cluster
  if (lostAt === null || evictedAt !== null) return
  log.warn({ cluster: name, cluster_id: id }, 'a cluster is still silent, what it runs is started elsewhere')
  await committer.changeOn(id, job => evicted(job, id, name, 'system', new Date(now)), fence)
  await clusters.update(id, { evicted_at: new Date(now).toISOString() })
  liveness.marked(id, { lost: true, evicted: true })
}

/** Changes nothing for what has failed over already. */
async function decideAgain (
  { committer }: FailoverContext,
  { id, cluster_name: name, lost_at: lostAt }: Cluster,
  fence: number,
  now: number
): Promise<void> {
  if (lostAt === null) return
  await committer.changeOn(id, job => evicted(job, id, name, 'system', new Date(now)), fence)
}

/** A lost cluster reports again. */
async function recover (context: FailoverContext, cluster: Cluster, fence: number, now: number): Promise<void> {
  const { clusters, committer, liveness, log } = context
  const { id, cluster_name: name, lost_at: lostAt } = cluster
  if (lostAt !== null) {
    log.info({ cluster: name, cluster_id: id }, 'a cluster that was lost is back')
    await committer.changeOn(id, job => recovered(job, id, name, 'system', new Date(now)), fence)
    await clusters.update(id, { lost_at: null, evicted_at: null, recovered_at: new Date(now).toISOString() })
  }
  liveness.marked(id, { lost: false, evicted: false })
}

/** Watches clusters for silence. Of several System Managers only the leader runs this loop. */
export function startFailover ({ lease, everyMs, startLoop, ...context }: FailoverContext & {
  lease: Lease
  everyMs: number
  startLoop: StartLoop
}): Loop {
  const watchSilence = createSilenceWatch(context)
  /** After a start or a database outage, clusters have had no chance to report yet. */
  function listenedMs (): number {
    const { answeredSince } = lease
    return answeredSince === undefined ? 0 : performance.now() - answeredSince
  }
  return startLoop({ name: 'failover', everyMs, lease, run: turn => watchSilence(turn, listenedMs()) })
}
