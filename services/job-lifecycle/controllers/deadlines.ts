import type { Clock } from '../../../background/clock.js'
import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Instance, Job, JobId } from '../../../schemas/job.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import type { ClusterStore, JobChange, JobStore, OutboxStore } from '../../../stores/store.js'
import type { EmbeddedScheduler } from '../../scheduler-client/embedded/scheduler.js'
import type { Committer } from '../commit.js'
import { dueAt, expireDeadlines, overdue } from '../state-machine/decisions/deadlines.js'
import { newInstance } from '../state-machine/instances.js'
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
  /** Tells where there is room, whichever scheduler decides in the end. */
  scheduler: Pick<EmbeddedScheduler, 'place'>
  /** While evictions are held, nobody knows what runs: nothing is tried elsewhere. */
  hold: Pick<EvictionHold, 'isHeld'>
}

/**
 * One turn: expires the deadlines of each job whose `due_at` has passed. Jobs that fail never hide those after them:
 * each page starts behind the previous one.
 * @param now Unix milliseconds. @param lateMs Deadlines end so many milliseconds late.
 */
export async function expireDue (
  { jobs, outbox, clusters, committer, policy, scheduler, hold }: DeadlinesContext,
  { fence, each, signal }: Turn,
  now = Date.now(),
  lateMs = 0
): Promise<void> {
  if (hold.isHeld) return
  const asOf = now - lateMs
  const before = new Date(asOf).toISOString()
  const expire = async (job: Job, placeless: ReadonlySet<number>): Promise<JobChange | undefined> => {
    const untaken = new Set(await outbox.untaken(job.id))
    const originals = await originalsOf(job)
    const change = expireDeadlines(job, policy, 'system', new Date(now), { asOf, placeless, untaken, originals })
    // Its deadline was noted by other settings, or by an earlier version: the right one is noted with the change.
    return change ?? (dueAt(job, policy) === job.due_at ? undefined : { job, events: [], commands: [] })
  }
  /** For each of these jobs the numbers of the overdue instances that no other cluster has room for. */
  async function placelessOf (page: Job[]): Promise<Map<JobId, ReadonlySet<number>>> {
    const leaving = page.map(job => ({ job, entries: overdue(job, policy, asOf) }))
      .filter(({ entries }) => entries.length > 0)
    const decisions = leaving.length === 0 ? [] : await scheduler.place(leaving.map(elsewhere))
    return new Map(leaving.map(({ job, entries }, index) => {
      const decision = decisions[index]
      const assigned = decision?.kind === 'placed' ? decision.assignments : []
      const placed = new Set(assigned.map(({ instance_number: number }) => number))
      return [job.id, new Set(entries.map(entry => entry.instance_number).filter(number => !placed.has(number)))]
    }))
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
    const placeless = await placelessOf(page)
    await each(
      page,
      ({ id }) => committer.change(id, job => expire(job, placeless.get(id) ?? new Set()), { fence }),
      ({ id, job_name: job }) => ({ job_id: id, job })
    )
    after = page.at(-1)
  } while (page.length === PAGE && !signal.aborted)
}

/** The job as if these instances were to start elsewhere before they are removed here. The others stay. */
function elsewhere ({ job, entries }: { job: Job, entries: Instance[] }): Job {
  const at = job.updated_at
  const successors = entries.map(({ instance_number: number, cluster_id: from, refusals }) =>
    newInstance(number, job.generation, at, { refusals, move: { from, why: 'failover', since: at } })
  )
  const staying = job.instance_list.filter(entry => entry.cluster_id !== '')
  return { ...job, instance_list: [...staying, ...successors] }
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
