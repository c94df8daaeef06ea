import type { Loop, StartLoop, Turn } from '../../../background/loop.js'
import type { Lease } from '../../../plugins/leases.js'
import type { Job } from '../../../schemas/job.js'
import type { JobChange, JobStore, OutboxStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { expireDeadlines } from '../state-machine/decisions/deadlines.js'
import type { Policy } from '../state-machine/policy.js'

/** Jobs read at a time. */
const PAGE = 200

/** What a turn needs. */
export interface DeadlinesContext {
  jobs: Pick<JobStore, 'due'>
  outbox: Pick<OutboxStore, 'untaken'>
  committer: Pick<Committer, 'change'>
  policy: Policy
}

/**
 * One turn: expires the deadlines of each job whose `due_at` has passed. Jobs that fail never hide those after them:
 * each page starts behind the previous one.
 * @param now Unix milliseconds.
 */
export async function expireDue (
  { jobs, outbox, committer, policy }: DeadlinesContext,
  { fence, each, signal }: Turn,
  now = Date.now()
): Promise<void> {
  const before = new Date(now).toISOString()
  const expire = async (job: Job): Promise<JobChange | undefined> => {
    const untaken = new Set(await outbox.untaken(job.id))
    return expireDeadlines(job, policy, 'system', new Date(now), untaken)
  }
  let page: Job[]
  let after: Job | undefined
  do {
    page = await jobs.due({ before, limit: PAGE, ...(after && { after }) })
    await each(
      page,
      ({ id }) => committer.change(id, expire, fence),
      ({ id, job_name: job }) => ({ job_id: id, job })
    )
    after = page.at(-1)
  } while (page.length === PAGE && !signal.aborted)
}

/** Expires deadlines on time. Of several System Managers only the leader runs this loop. */
export function startDeadlines ({ lease, everyMs, startLoop, ...context }: DeadlinesContext & {
  lease: Lease
  everyMs: number
  startLoop: StartLoop
}): Loop {
  return startLoop({ name: 'deadlines', everyMs, lease, run: turn => expireDue(context, turn) })
}
