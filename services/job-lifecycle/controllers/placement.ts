import { setImmediate } from 'node:timers/promises'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job, JobId } from '../../../schemas/job.js'
import type { ClusterStore, JobChange, JobStore } from '../../../stores/store.js'
import type { PlacementDecision, Question, SchedulerClient } from '../../scheduler-client/scheduler.js'
import type { Committer } from '../commit.js'
import { forgetDeleted } from '../deleted-clusters.js'
import { placed, unplaceable, waiting } from '../state-machine/decisions/placement.js'
import { asked } from '../state-machine/decisions/scheduler-answer.js'

/** Most jobs per call of the scheduler. */
const PAGE = 256

/** Milliseconds in which deploys gather to share a pass. */
const GATHER_MS = 5

/** After a pass the loop pauses for this many times as long: placement uses at most a tenth of the time. */
const COOLDOWN_FACTOR = 9

/**
 * Milliseconds between a pass and the next one. What a pass only waited, for a slow database for one, delays the next
 * one by `retryMs` at most.
 */
export function pauseAfter ({ tookMs, busyMs, retryMs }: Record<'tookMs' | 'busyMs' | 'retryMs', number>): number {
  return Math.max(busyMs * COOLDOWN_FACTOR, Math.min(tookMs * COOLDOWN_FACTOR, retryMs))
}

/** What a pass needs. */
export interface PlacementContext {
  jobs: Pick<JobStore, 'unplaced'>
  scheduler: Pick<SchedulerClient, 'place'>
  clusters: Pick<ClusterStore, 'get' | 'getMany'>
  committer: Pick<Committer, 'commit' | 'changeOn'>
}

/**
 * One pass over all jobs with unplaced instances, a page at a time. A job that does not fit anywhere stays unplaced,
 * shows the reason, and comes up again in the next pass.
 */
export async function placeUnplaced (
  { jobs, scheduler, clusters, committer }: PlacementContext,
  { fence, signal, each }: Turn,
  at?: Date
): Promise<void> {
  let after: JobId | undefined
  do {
    const page = await jobs.unplaced({ limit: PAGE, ...(after !== undefined && { after }) })
    if (page.length === 0) return
    const decisions = await scheduler.place(page)
    const changes: JobChange[] = []
    await each(page.entries(), async ([index, job]) => {
      const change = toChange(job, decisions[index], at)
      if (change) changes.push(change)
    }, ([, { id, job_name: job }]) => ({ job_id: id, job }))
    await committer.commit(changes, fence)
    await forgetDeleted({ clusters, committer }, decisions.flatMap(clustersOf))
    for (const decision of decisions) if (decision?.kind === 'asked') decision.send?.()
    after = page.length === PAGE ? page.at(-1)?.id : undefined
    // Lets requests that arrived meanwhile run first.
    await setImmediate()
  } while (after !== undefined && !signal.aborted)
}

/**
 * Places unplaced instances soon after each wake, and every `retryMs` in any case. Of several System Managers only the
 * leader runs this loop.
 */
export function startPlacement ({ lease, retryMs, startLoop, ...context }: PlacementContext & {
  lease: Lease
  retryMs: number
  startLoop: StartLoop
}): Loop {
  return startLoop({
    name: 'placement',
    everyMs: retryMs,
    lease,
    gatherMs: GATHER_MS,
    cooldownMs: (tookMs, busyMs) => pauseAfter({ tookMs, busyMs, retryMs }),
    run: turn => placeUnplaced(context, turn)
  })
}

const clustersOf = (decision: PlacementDecision | Question | undefined): ClusterId[] =>
  decision?.kind === 'placed' ? decision.assignments.map(({ cluster_id: id }) => id) : []

function toChange (
  job: Job,
  decision: PlacementDecision | Question | undefined,
  at?: Date
): JobChange | undefined {
  switch (decision?.kind) {
    case 'placed':
      return placed(job, decision, 'scheduler', at)
    case 'unplaceable':
      return unplaceable(job, decision.failure, decision.explanation, 'scheduler', at)
    case 'waiting':
      return waiting(job, decision.explanation, 'scheduler', at)
    case 'asked':
      return asked(job, decision.explanation, 'scheduler', at)
  }
  return undefined
}
