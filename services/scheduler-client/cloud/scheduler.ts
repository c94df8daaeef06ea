import { EventEmitter } from 'node:events'
import { ApiError } from '../../../schemas/errors.js'
import type { Explanation, Instance, Job, JobId } from '../../../schemas/job.js'
import { isForCloudScheduler, isUnplaced } from '../../../schemas/job-facts.js'
import { PLACEMENT_FAILURES, type Status } from '../../../schemas/status.js'
import type { FastifyBaseLogger } from 'fastify'
import type { EmbeddedScheduler } from '../embedded/scheduler.js'
import type { PlacementDecision, Question, SchedulerClient } from '../scheduler.js'
import { SchedulerDown } from './call.js'
import type { Link } from './link.js'
import { ask } from './question.js'
import type { Asked, Questions } from './questions.js'
import { awaited, crowded, notPlaced, callbackLate, refusing, silent, standingIn } from './sentences.js'

interface CloudSchedulerOptions {
  /** http://host:port, for messages. */
  origin: string
  link: Link
  questions: Questions
  /** Milliseconds that it has to call back. */
  callbackMs: number
  /** Places what moves; with `fallback`, everything while the breaker is open. */
  embedded: EmbeddedScheduler
  fallback: boolean
  /** Finds reasons for verdicts of the Cloud Scheduler, by the figures here and that scheduler's rule of liveness. */
  verdictJudge: EmbeddedScheduler
  log: Pick<FastifyBaseLogger, 'error'>
}

/** A job that waits for the Cloud Scheduler, as it looks from here. */
interface Judgement {
  /** Of its verdict that the job has no place; undefined while it has given none. */
  explanation: Explanation | undefined
  /** By the present figures there is a place. */
  hasCapacity: boolean
}

/**
 * Asks the Cloud Scheduler, which calls back later (contract section 4). A pass only looks up the state of its
 * questions and sends new ones off, so it takes no longer whatever the scheduler does.
 */
export function createCloudScheduler (
  { origin, link, questions, callbackMs, embedded, fallback, verdictJudge, log }: CloudSchedulerOptions
): SchedulerClient {
  const events: SchedulerClient['events'] = new EventEmitter()
  const changed = () => events.emit('changed')

  link.events.on('opened', changed)
  link.events.on('closed', () => {
    questions.wakeAll()
    changed()
  })

  async function send (job: Job, asked: Asked): Promise<void> {
    const failedBefore = asked.failed
    try {
      await ask(link, job)
      // It may have called back already.
      if (asked.state !== 'asking') return
      Object.assign(asked, { state: 'pending', failed: false })
      if (!failedBefore) return
      asked.explanation = awaited(Date.now())
    } catch (err) {
      if (asked.state !== 'asking') return
      const { message } = err as Error
      asked.explanation = err instanceof SchedulerDown ? silent(Date.now(), message) : refusing(Date.now(), message)
      questions.backOff(asked, true)
    }
    changed()
  }

  /** Asks, with the explanation that the job shows meanwhile. */
  function begin (
    job: Job,
    now: number,
    explanation: Explanation,
    { failed = false, lackedCapacity = false } = {}
  ): Question {
    const asked = questions.begin(job, now, explanation)
    Object.assign(asked, { failed, lackedCapacity })
    return {
      kind: 'asked',
      explanation,
      send: () => {
        send(job, asked)
      }
    }
  }

  /** A job that has changed since its question has an answer, or its question is of no use any more. */
  function notice (job: Job, now: number): void {
    const asked = questions.get(job, now)
    if (!asked || !unplaced(job).some(({ status_since: since }) => Date.parse(since) > asked.at)) return
    if (!hasVerdict(job)) questions.forget(job.id)
    else if (asked.state !== 'backoff') questions.backOff(asked, false, now)
  }

  /**
   * Explains the verdicts. The scheduler writes them into the database without a reason (contract section 4); the
   * figures here provide one, and show when there is room: also when the first heartbeat of a cluster comes, of which
   * the scheduler knew nothing when it was asked.
   */
  async function judge (jobs: Job[], now: number): Promise<Map<JobId, Judgement>> {
    const judged = jobs.filter(job => !questions.byId(job.id)?.failed)
    const found = judged.length > 0 ? await verdictJudge.place(judged) : []
    return new Map(judged.map((job, index): [JobId, Judgement] => {
      const here = found[index]
      const known = job.explanation?.outcome === 'unplaceable' ? job.explanation : undefined
      const explanation = hasVerdict(job) ? known ?? notPlaced(now, here?.explanation) : undefined
      return [job.id, { explanation, hasCapacity: here?.kind === 'placed' }]
    }))
  }

  /** A verdict stands while the job is asked about again: the same one, written again, could not be seen. */
  function decide (job: Job, now: number, judgement: Judgement | undefined): Question {
    const { explanation: verdict, hasCapacity = false } = judgement ?? {}
    const lackedCapacity = judgement !== undefined && !hasCapacity
    const asked = questions.get(job, now)
    const isDue = asked === undefined ||
      (asked.state !== 'asking' && hasCapacity && asked.lackedCapacity) ||
      (asked.state === 'backoff' && now >= asked.again) ||
      (asked.state === 'pending' && now - asked.at >= callbackMs)
    const known = verdict ?? asked?.explanation
    if (asked && lackedCapacity) asked.lackedCapacity = true
    if (!isDue) return { kind: 'asked', explanation: known! }
    if (link.state() !== 'closed') return { kind: 'asked', explanation: silent(now, link.lastFailure()) }
    if (link.isFull()) return { kind: 'asked', explanation: known ?? crowded(now) }
    if (asked?.state === 'pending') {
      const isLate = now - asked.at >= callbackMs
      const explanation = verdict ?? (isLate ? callbackLate(now, asked.at) : asked.explanation)
      return begin(job, now, explanation, { lackedCapacity })
    }
    return begin(job, now, known ?? awaited(now), { failed: asked?.failed ?? false, lackedCapacity })
  }

  /** For jobs with instances that the Cloud Scheduler cannot place, the decision about these. */
  async function placeMoves (jobs: Job[]): Promise<Map<Job, PlacementDecision | undefined>> {
    const moving = jobs.filter(job =>
      job.instance_list.some(entry => isUnplaced(entry) && !isForCloudScheduler(entry))
    )
    if (moving.length === 0) return new Map()
    const decisions = await embedded.place(
      moving.map(job => ({ ...job, instance_list: job.instance_list.filter(entry => !isForCloudScheduler(entry)) }))
    )
    return new Map(moving.map((job, index) => [job, decisions[index]]))
  }

  return {
    events,

    async place (jobs) {
      if (fallback && link.state() !== 'closed') {
        return (await embedded.place(jobs)).map(decision => decision && standIn(decision))
      }
      const now = Date.now()
      const asked = new Set(jobs.filter(job => unplaced(job).length > 0))
      for (const job of asked) notice(job, now)
      const judgements = await judge([...asked], now)
      const moves = await placeMoves(jobs)
      return jobs.map(job => {
        const move = moves.get(job)
        return move?.kind === 'placed' || !asked.has(job) ? move : decide(job, now, judgements.get(job.id))
      })
    },

    answered (id) {
      const asked = questions.byId(id)
      if (asked && asked.state !== 'backoff') questions.backOff(asked, false)
    },

    async test () {
      try {
        await link.test()
      } catch (err) {
        throw new ApiError(
          'scheduler_unavailable',
          `The Cloud Scheduler at ${origin} does not answer: ${(err as Error).message}`,
          {
            hint: fallback
              ? 'The embedded scheduler takes over while it is away'
              : 'Jobs wait for it; everything else goes on',
            cause: err
          }
        )
      }
      return `the Cloud Scheduler at ${origin} answers`
    }
  }
}

const unplaced = (job: Job): Instance[] => job.instance_list.filter(isForCloudScheduler)

const hasVerdict = (job: Job): boolean =>
  unplaced(job).some(({ status }) => (PLACEMENT_FAILURES as readonly Status[]).includes(status))

function standIn (decision: PlacementDecision): PlacementDecision {
  return { ...decision, explanation: standingIn(decision.explanation) }
}
