import type { FastifyBaseLogger } from 'fastify'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { isActive, isOriginal } from '../../../schemas/cluster-facts.js'
import type { ClusterStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { registeredAs } from '../state-machine/decisions/cluster-kind.js'
import { lost, recovered } from '../state-machine/decisions/cluster-loss.js'

/** Clusters read at a time. */
const PAGE = 200

/** A cluster lost again within this many milliseconds of its recovery is flapping: its losses add up. */
const FLAPPING_MS = 3_600_000

/** What a turn needs. */
export interface FailoverContext {
  clusters: Pick<ClusterStore, 'list' | 'silent' | 'returned' | 'update'>
  committer: Pick<Committer, 'changeOn'>
  /** Milliseconds of silence after which a cluster is inactive (contract section 4). */
  graceMs: number
  /** Milliseconds of silence after which a cluster counts as lost and its instances fail over. */
  failoverMs: number
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

/** One turn of the loop. `hasListened` is false while clusters have had no chance to report: silence means nothing. */
export type SilenceWatch = (turn: Turn, hasListened: boolean, now?: number) => Promise<void>

/**
 * Recovers lost clusters that report again, then fails over those that have been silent for too long. Both lists come
 * from the store in each turn, so the next leader continues where this one stopped. A new leader first decides anew on
 * the jobs of all lost clusters, for those that could not be decided on when their cluster was lost. It notes on the
 * jobs of original clusters that these are such, for those that were stored before that was noted.
 */
export function createSilenceWatch (context: FailoverContext): SilenceWatch {
  const { clusters, graceMs, failoverMs } = context
  const about = ({ id, cluster_name: cluster }: Cluster) => ({ cluster_id: id, cluster })
  /** The leaderships in which that was done. */
  let settledFence: number | undefined
  let notedFence: number | undefined

  return async (turn, hasListened, now = Date.now()) => {
    await eachPage(
      turn,
      after => clusters.returned({ activeSince: now - graceMs, limit: PAGE, ...after }),
      page => turn.each(page, cluster => recover(context, cluster, turn.fence, now), about)
    )
    if (notedFence !== turn.fence) {
      const originals = (await clusters.list({})).filter(isOriginal)
      await turn.each(originals, cluster => noteOriginal(context, cluster, turn.fence), about)
      notedFence = turn.fence
    }
    if (!hasListened) return
    if (settledFence !== turn.fence) {
      const known = await clusters.list({})
      const stillLost = known.filter(cluster => cluster.lost_at !== null && !isActive(cluster, now, graceMs))
      await turn.each(stillLost, cluster => failOver(context, cluster, turn.fence, now), about)
      settledFence = turn.fence
    }
    await eachPage(
      turn,
      after => clusters.silent({ silentSince: now - failoverMs, limit: PAGE, ...after }),
      page => turn.each(page, cluster => lose(context, cluster, turn.fence, now), about)
    )
  }
}

async function eachPage (
  { signal }: Turn,
  read: (after: { after?: ClusterId }) => Promise<Cluster[]>,
  act: (page: Cluster[]) => Promise<void>
): Promise<void> {
  for (let page = await read({}); page.length > 0 && !signal.aborted;) {
    await act(page)
    page = page.length < PAGE ? [] : await read({ after: page.at(-1)!.id })
  }
}

async function noteOriginal ({ committer }: FailoverContext, { id }: Cluster, fence: number): Promise<void> {
  await committer.changeOn(id, job => registeredAs(job, id, true), fence)
}

/** The cluster has been silent for too long: its instances fail over where their descriptors permit. */
async function lose (context: FailoverContext, cluster: Cluster, fence: number, now: number): Promise<void> {
  const { id, cluster_name: name, recovered_at: recoveredAt, losses } = cluster
  context.log.warn(
    { cluster: name, cluster_id: id },
    'a cluster gives no sign of life, what it runs is started elsewhere'
  )
  // A decision that fails is logged and does not hold up the cluster. The jobs come first: if the process ends in
  // between, the next leader finds the cluster not yet marked as lost and repeats this.
  await failOver(context, cluster, fence, now)
  const again = recoveredAt !== null && now - Date.parse(recoveredAt) < FLAPPING_MS
  await context.clusters.update(id, { lost_at: new Date(now).toISOString(), losses: again ? losses + 1 : 1 })
}

/** Changes nothing for what has failed over already. */
async function failOver (
  { committer }: FailoverContext,
  { id, cluster_name: name }: Cluster,
  fence: number,
  now: number
): Promise<void> {
  await committer.changeOn(id, job => lost(job, id, name, 'system', new Date(now)), fence)
}

/** A lost cluster reports again. */
async function recover (
  { clusters, committer, log }: FailoverContext,
  { id, cluster_name: name }: Cluster,
  fence: number,
  now: number
): Promise<void> {
  log.info({ cluster: name, cluster_id: id }, 'a cluster that was lost is back')
  await committer.changeOn(id, job => recovered(job, id, name, 'system', new Date(now)), fence)
  await clusters.update(id, { lost_at: null, recovered_at: new Date(now).toISOString() })
}

/** Watches clusters for silence. Of several System Managers only the leader runs this loop. */
export function startFailover ({ lease, everyMs, startLoop, ...context }: FailoverContext & {
  lease: Lease
  everyMs: number
  startLoop: StartLoop
}): Loop {
  const watchSilence = createSilenceWatch(context)
  /** After a start or a database outage, clusters have had no chance to report yet. */
  function hasListened (): boolean {
    const { answeredSince } = lease
    return answeredSince !== undefined && Date.now() - answeredSince >= context.failoverMs
  }
  return startLoop({ name: 'failover', everyMs, lease, run: turn => watchSilence(turn, hasListened()) })
}
