import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import type { Job, JobId } from '../../schemas/job.js'
import { hasUnplaced } from '../../schemas/job-facts.js'
import type { CommitOutcome, JobChange, JobStore } from '../../stores/store.js'
import { dueAt } from './state-machine/decisions/deadlines.js'
import type { Policy } from './state-machine/policy.js'

/** Events for other services. */
export interface LifecycleEvents {
  /** The outbox has new commands for these clusters. */
  commands: [ClusterId[]]
  /** Instances wait for a cluster. */
  unplaced: []
}

/** A decision on the newest state of a job. Returns undefined when there is nothing to do. */
export type Decide = (job: Job) => JobChange | undefined | Promise<JobChange | undefined>

/** What stands in the way of a change. */
export interface Guard {
  /** Token of a lease: nothing is changed that the holder of a newer one has changed. */
  fence?: number
  /** Awaited before each commit; rejects where the change is no longer wanted. */
  confirm? (): Promise<void>
}

/** Makes decisions durable and emits the events that follow from them. */
export interface Committer {
  events: EventEmitter<LifecycleEvents>
  /**
   * Commits changes that were decided on a version of the job that the store held. If the job has changed since, the
   * change is dropped as `stale`, and the caller has to decide anew. With a `fence`, a change is also `stale` if the
   * holder of a newer lease has changed the job.
   * @returns One outcome per change, in the same order.
   */
  commit (changes: JobChange[], fence?: number): Promise<CommitOutcome[]>
  /**
   * Decides on the newest state of a job, again until the decision can be committed. Throws `conflict` after
   * {@link MAX_TRIES}, `address_taken`, `addresses_exhausted`, and what the guard throws.
   * @returns The job as stored afterwards; undefined if there is no such job.
   */
  change (id: JobId, decide: Decide, guard?: Guard): Promise<Job | undefined>
  /**
   * {@link Committer.change} for each of these jobs. A decision that fails is logged and never stops the others.
   * @returns The errors of the failed decisions. Rejects when the store fails.
   */
  changeEach (ids: Iterable<JobId>, decide: Decide, fence?: number): Promise<unknown[]>
  /** {@link Committer.changeEach} for each job that this cluster runs or still has to remove. */
  changeOn (clusterId: ClusterId, decide: Decide, fence?: number): Promise<unknown[]>
  /**
   * Makes these decisions on each of these jobs, in order, as one change; those of all jobs are read and committed
   * together. A decision that fails is logged and never stops the others.
   * @returns What went wrong, by job: also `job_not_found`, `job_unreadable` and what the store failed at. Rejects when
   * the jobs cannot be read.
   */
  changeMany (decisions: ReadonlyMap<JobId, ReadonlyArray<(job: Job) => JobChange | undefined>>): Promise<
    Map<JobId, unknown>
  >
}

/** Jobs read at a time. */
const PAGE = 200

const UNDECIDED = 'a decision on a job failed, the others go on'

/** Most attempts at one change while others change the same job. Of those made at the same time one succeeds. */
export const MAX_TRIES = 200

/** Events that are logged for debugging only: there is one per status and instance. */
const DETAILS = new Set(['status', 'details', 'acknowledged', 'retired'])

export function createCommitter (jobs: JobStore, policy: Policy, log: FastifyBaseLogger): Committer {
  const events = new EventEmitter<LifecycleEvents>()

  async function commit (changes: JobChange[], fence?: number): Promise<CommitOutcome[]> {
    const held = fence === undefined ? changes : changes.filter(({ job }) => job.fence <= fence)
    for (const { job } of held) {
      job.due_at = dueAt(job, policy)
      if (fence !== undefined) job.fence = fence
    }
    if (held.length === 0) return changes.map(() => ({ outcome: 'stale' }))
    const outcomes = await jobs.commit(held)
    const saved = held.filter((_, index) => outcomes[index]?.outcome === 'saved')
    for (const { job, events: told } of saved) {
      for (const { type, cause, message } of told) {
        log[DETAILS.has(type) ? 'debug' : 'info']({ job: job.job_name, cause }, message)
      }
    }
    for (const [index, { job }] of held.entries()) {
      const outcome = outcomes[index]
      if (outcome?.outcome === 'failed') log.error({ err: outcome.error, job_id: job.id }, 'a change was not stored')
    }
    const reached = new Set(saved.flatMap(({ commands }) => commands.map(command => command.cluster_id)))
    if (reached.size > 0) events.emit('commands', [...reached])
    if (saved.some(({ job }) => hasUnplaced(job))) events.emit('unplaced')
    return changes.map(change => outcomes[held.indexOf(change)] ?? { outcome: 'stale' })
  }

  /** {@link commit} that never rejects. */
  async function commitEach (changes: JobChange[]): Promise<CommitOutcome[]> {
    try {
      return await commit(changes)
    } catch (error) {
      return changes.map(() => ({ outcome: 'failed', error }))
    }
  }

  async function whyMissing (id: JobId): Promise<unknown> {
    try {
      await jobs.get(id)
      return new ApiError('job_not_found', `No job has the id ${id}`)
    } catch (err) {
      if (err instanceof ApiError && err.code === 'job_unreadable') return err
      throw err
    }
  }

  const committer: Committer = {
    events,
    commit,

    async change (id, decide, { fence, confirm } = {}) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const job = await jobs.get(id)
        if (!job || (fence !== undefined && job.fence > fence)) return job
        const decision = await decide(job)
        if (!decision) return job
        await confirm?.()
        const saved = savedOrStale((await commit([decision], fence))[0])
        if (saved) return saved
      }
      throw new ApiError('conflict', `Job ${id} kept changing`, { hint: 'Try again' })
    },

    async changeEach (ids, decide, fence) {
      const undecided: unknown[] = []
      let conflict: ApiError | undefined
      for (const id of ids) {
        try {
          await committer.change(id, decide, { ...(fence !== undefined && { fence }) })
        } catch (err) {
          const code = err instanceof ApiError ? err.code : undefined
          // The store has logged that it cannot read the document: skip the job.
          if (code === 'job_unreadable') continue
          // The next job would fare no better.
          if (code === 'store_unavailable' || code === 'shutting_down') throw err
          if (code === 'conflict') conflict ??= err as ApiError
          else {
            log.error({ err, job_id: id }, UNDECIDED)
            undecided.push(err)
          }
        }
      }
      // Others keep changing that job. The caller has to come again, but the rest is done.
      if (conflict) throw conflict
      return undecided
    },

    async changeOn (clusterId, decide, fence) {
      const undecided: unknown[] = []
      let page: Job[]
      let after: JobId | undefined
      do {
        page = await jobs.list({ cluster_id: clusterId, limit: PAGE, ...(after !== undefined && { after }) })
        undecided.push(...await committer.changeEach(page.map(({ id }) => id), decide, fence))
        after = page.at(-1)?.id
      } while (page.length === PAGE)
      return undecided
    },

    async changeMany (decisions) {
      const failed = new Map<JobId, unknown>()
      const ids = [...decisions.keys()]
      for (let from = 0; from < ids.length; from += PAGE) {
        const changes: JobChange[] = []
        const missing = new Set(ids.slice(from, from + PAGE))
        for (const job of await jobs.getMany([...missing])) {
          missing.delete(job.id)
          try {
            const change = decideInTurn(job, decisions.get(job.id)!)
            if (change) changes.push(change)
          } catch (err) {
            log.error({ err, job_id: job.id }, UNDECIDED)
            failed.set(job.id, err)
          }
        }
        for (const id of missing) failed.set(id, await whyMissing(id))
        const outcomes = await commitEach(changes)
        for (const [index, { job: { id } }] of changes.entries()) {
          try {
            const outcome = outcomes[index]!
            if (outcome.outcome === 'failed') throw outcome.error
            if (outcome.outcome === 'saved') continue
            const [err] = await committer.changeEach([id], job => decideInTurn(job, decisions.get(id)!))
            if (err !== undefined) failed.set(id, err)
          } catch (err) {
            failed.set(id, err)
          }
        }
      }
      return failed
    }
  }
  return committer
}

/** Decisions on a job, each on what the one before it made of the job, as one change. */
function decideInTurn (
  job: Job,
  decisions: ReadonlyArray<(job: Job) => JobChange | undefined>
): JobChange | undefined {
  let all: JobChange | undefined
  for (const decide of decisions) {
    const change = decide(all?.job ?? job)
    if (!change) continue
    const { events = [], commands = [] } = all ?? {}
    all = { job: change.job, events: [...events, ...change.events], commands: [...commands, ...change.commands] }
  }
  return all
}

/** The saved job; undefined for `stale`. Throws what only the user can resolve. */
function savedOrStale (outcome: CommitOutcome | undefined): Job | undefined {
  if (outcome?.outcome === 'failed') throw outcome.error
  const refusal = outcome && refusalOf(outcome)
  if (refusal) throw refusal
  return outcome?.outcome === 'saved' ? outcome.job : undefined
}

/** The error for an outcome that only the user can resolve: `address_taken`, `addresses_exhausted`. */
export function refusalOf (outcome: CommitOutcome): ApiError | undefined {
  switch (outcome.outcome) {
    case 'address_taken':
      return new ApiError('address_taken', `${outcome.address} belongs to another job`, {
        hint: 'Leave out RR_ip to get a free address'
      })
    case 'addresses_exhausted':
      return new ApiError('addresses_exhausted')
  }
  return undefined
}
