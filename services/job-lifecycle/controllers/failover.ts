import type { FastifyBaseLogger } from 'fastify'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import type { ClusterStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { lost, recovered } from '../state-machine/decisions/cluster-loss.js'

/** Clusters read at a time. */
const PAGE = 200

/** Milliseconds within which a loss counts with the one before: the cluster comes and goes. */
const FLAPPING_MS = 3_600_000

/** What a turn needs. */
export interface FailoverContext {
  clusters: Pick<ClusterStore, 'silent' | 'returned' | 'update'>
  committer: Pick<Committer, 'changeOn'>
  /** Milliseconds of silence after which a cluster is inactive (contract section 4). */
  graceMs: number
  /** Milliseconds of silence after which what a cluster runs is started elsewhere. */
  failoverMs: number
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>
}

/**
 * One turn: takes back the lost clusters that speak again, and gives up those that are silent for too long. Which ones
 * these are, the store says each time: whoever leads next goes on from there.
 * @param hasListened False while this process cannot have heard the clusters: their silence means nothing then.
 * @param now Unix milliseconds.
 */
export async function watchSilence (
  context: FailoverContext,
  turn: Turn,
  hasListened: boolean,
  now = Date.now()
): Promise<void> {
  const { clusters, graceMs, failoverMs } = context
  const about = ({ id, cluster_name: cluster }: Cluster) => ({ cluster_id: id, cluster })
  await eachPage(
    turn,
    after => clusters.returned({ activeSince: now - graceMs, limit: PAGE, ...after }),
    page => turn.each(page, cluster => recover(context, cluster, turn.fence, now), about)
  )
  if (!hasListened) return
  await eachPage(
    turn,
    after => clusters.silent({ silentSince: now - failoverMs, limit: PAGE, ...after }),
    page => turn.each(page, cluster => lose(context, cluster, turn.fence, now), about)
  )
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

/** The cluster has been silent for too long: its instances are started elsewhere where their descriptors permit. */
async function lose (
  { clusters, committer, log }: FailoverContext,
  { id, cluster_name: name, recovered_at: recoveredAt, losses }: Cluster,
  fence: number,
  now: number
): Promise<void> {
  log.warn({ cluster: name, cluster_id: id }, 'a cluster gives no sign of life, what it runs is started elsewhere')
  // A job that cannot be decided on is its own trouble, and logged. The jobs first: should the process end in between,
  // the next one finds the cluster not lost yet and goes on.
  await committer.changeOn(id, job => lost(job, id, name, 'system', new Date(now)), fence)
  const again = recoveredAt !== null && now - Date.parse(recoveredAt) < FLAPPING_MS
  await clusters.update(id, { lost_at: new Date(now).toISOString(), losses: again ? losses + 1 : 1 })
}

/** A cluster that was lost speaks again. */
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

/** Of several System Managers the one with the lease watches. */
export function startFailover ({ lease, everyMs, startLoop, ...context }: FailoverContext & {
  lease: Lease
  everyMs: number
  startLoop: StartLoop
}): Loop {
  /** After a start or an outage of the database clusters have had no chance to be heard. */
  function hasListened (): boolean {
    const { answeredSince } = lease
    return answeredSince !== undefined && Date.now() - answeredSince >= context.failoverMs
  }
  return startLoop({ name: 'failover', everyMs, lease, run: turn => watchSilence(context, turn, hasListened()) })
}
