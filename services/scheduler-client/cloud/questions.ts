import type { Explanation, Job, JobId } from '../../../schemas/job.js'

/** A question about a job and its state. Kept in memory: after a restart it is asked again. */
export interface Asked {
  /** A newer descriptor is a new question. */
  generation: number
  /** Unix milliseconds of the last time it was asked. */
  at: number
  /**
   * - `asking`: on its way to the scheduler.
   * - `pending`: the scheduler has accepted it and is to call back.
   * - `backoff`: it came to nothing, and is asked again at `again`.
   */
  state: 'asking' | 'pending' | 'backoff'
  /** Unix milliseconds from which a question that backs off may be asked again. */
  again: number
  /** Times in a row that it came to nothing. */
  failures: number
  /** True when the last try to send it failed; the explanation says why. */
  failed: boolean
  /**
   * True once the figures here have shown no place, when it was asked or since. From then on, new capacity is a reason
   * to ask again.
   */
  lackedCapacity: boolean
  /** What the job shows. */
  explanation: Explanation
}

/** Milliseconds, at least, after which a question that no pass looks up is forgotten: its job is placed or gone. */
const FORGET_MS = 120_000

/** Longest back-off of a question that came to nothing again and again, ms. */
const MAX_BACKOFF_MS = 60_000

/** The questions by job. */
export interface Questions {
  /** The one about this generation of the job. Forgets those that no pass has looked up for long. */
  get (job: Job, now: number): Asked | undefined
  /** Adds one that is about to be asked. */
  begin (job: Job, now: number, explanation: Explanation): Asked
  byId (id: JobId): Asked | undefined
  /** The job has moved on, and the question is of no use any more. */
  forget (id: JobId): void
  /** Backs off from one, each time for twice as long, less up to half of it by chance. */
  backOff (asked: Asked, failed: boolean, now?: number): void
  /** All that back off because they could not be sent may be asked at once. */
  wakeAll (): void
  /** Questions that the scheduler has accepted and not called back about. */
  pending (): number
}

/** @param retryMs First back-off of a question that came to nothing. */
export function createQuestions (retryMs: number): Questions {
  const forgetMs = Math.max(FORGET_MS, 3 * retryMs)
  // In the order in which they were last looked up.
  const byJob = new Map<JobId, { asked: Asked, seen: number }>()

  function see (id: JobId, asked: Asked, now: number): void {
    byJob.delete(id)
    byJob.set(id, { asked, seen: now })
  }

  return {
    get ({ id, generation }, now) {
      for (const [old, { seen }] of byJob) {
        if (now - seen <= forgetMs) break
        byJob.delete(old)
      }
      const asked = byJob.get(id)?.asked
      // One of the future was asked before the clock was set back: there is no telling how long ago.
      if (asked?.generation !== generation || asked.at > now) return undefined
      see(id, asked, now)
      return asked
    },

    begin ({ id, generation }, now, explanation) {
      const before = byJob.get(id)?.asked
      const failures = before?.generation === generation ? before.failures : 0
      const asked: Asked = {
        generation,
        at: now,
        state: 'asking',
        again: 0,
        failures,
        failed: false,
        lackedCapacity: false,
        explanation
      }
      see(id, asked, now)
      return asked
    },

    byId: id => byJob.get(id)?.asked,

    forget (id) {
      byJob.delete(id)
    },

    backOff (asked, failed, now = Date.now()) {
      const longest = Math.min(retryMs * 2 ** Math.min(asked.failures, 10), Math.max(retryMs, MAX_BACKOFF_MS))
      Object.assign(asked, {
        state: 'backoff',
        failed,
        failures: asked.failures + 1,
        again: now + longest * (1 + Math.random()) / 2
      })
    },

    wakeAll () {
      for (const { asked } of byJob.values()) {
        if (asked.failed) asked.again = 0
      }
    },

    pending: () => [...byJob.values()].filter(({ asked }) => asked.state === 'pending').length
  }
}
