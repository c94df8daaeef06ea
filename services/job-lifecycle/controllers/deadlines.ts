import type { Clock } from '../../../background/clock.js'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Job } from '../../../schemas/job.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import type { ClusterStore, JobChange, JobStore, OutboxStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { expireDeadlines } from '../state-machine/decisions/deadlines.js'
import { longestDeadline, type Policy } from '../state-machine/policy.js'
import type { EvictionHold } from './eviction-hold.js'

/** Jobs read at a time. */
const PAGE = 200

/** What a turn needs. */
export interface DeadlinesContext {
  jobs: Pick<JobStore, 'due'>
  outbox: Pick<OutboxStore, 'untaken'>
  clusters: Pick<ClusterStore, 'get'>
  committer: Pick<Committer, 'change'>
  policy: Policy
  /** While evictions are held, nobody knows what runs: nothing is tried elsewhere. */
  hold: Pick<EvictionHold, 'isHeld'>
}

/**
 * One turn: expires the deadlines of each job whose `due_at` has passed. Jobs that fail never hide those after them:
 * each page starts behind the previous one.
 * @param now Unix milliseconds. @param lateMs Deadlines end so many milliseconds late.
 */
export async function expireDue (
  { jobs, outbox, clusters, committer, policy, hold }: DeadlinesContext,
  { fence, each, signal }: Turn,
  now = Date.now(),
  lateMs = 0
): Promise<void> {
  if (hold.isHeld) return
  const asOf = now - lateMs
  const before = new Date(asOf).toISOString()
  const expire = async (job: Job): Promise<JobChange | undefined> => {
    const untaken = new Set(await outbox.untaken(job.id))
    return expireDeadlines(job, policy, 'system', new Date(now), { asOf, untaken, originals: await originalsOf(job) })
  }
  /** A cluster may have become an original one since a job was placed there, and must not lose it to a deadline. */
  async function originalsOf ({ instance_list: list }: Job): Promise<Set<ClusterId>> {
    const doubtful = list.filter(({ status, original }) => status === 'DEPLOYED' && !original)
    const found = await Promise.all([...new Set(doubtful.map(entry => entry.cluster_id))].map(id => clusters.get(id)))
    return new Set(found.filter(cluster => cluster !== undefined).filter(isOriginal).map(({ id }) => id))
  }
  let page: Job[]
  let after: Job | undefined
  do {
    page = await jobs.due({ before, limit: PAGE, ...(after && { after }) })
    await each(
      page,
      ({ id }) => committer.change(id, expire, { fence }),
      ({ id, job_name: job }) => ({ job_id: id, job })
    )
    after = page.at(-1)
  } while (page.length === PAGE && !signal.aborted)
}

/** Expires deadlines on time. Of several System Managers only the leader runs this loop. */
export function startDeadlines ({ lease, clock, everyMs, startLoop, ...context }: DeadlinesContext & {
  lease: Lease
  clock: Pick<Clock, 'forwardMs'>
  everyMs: number
  startLoop: StartLoop
}): Loop {
  const longestMs = longestDeadline(context.policy)
  return startLoop({
    name: 'deadlines',
    everyMs,
    lease,
    run: turn => expireDue(context, turn, Date.now(), clock.forwardMs(longestMs))
  })
}
