import type { Explanation } from '../../../schemas/job.js'

/**
 * What a job says while its question is with the Cloud Scheduler. Each sentence stays the same as long as the matter
 * does, since a new one is a write.
 */

/** The scheduler has been asked, or is about to be. */
export const awaited = (now: number): Explanation =>
  waiting(now, 'the Cloud Scheduler was asked, its answer is awaited')

export const callbackLate = (now: number, askedAt: number): Explanation =>
  waiting(
    now,
    `the Cloud Scheduler was asked ${Math.round((now - askedAt) / 1000)} s ago and has not called back; asked again`
  )

/** @param problem Why, as the connection has it. */
export const silent = (now: number, problem: string): Explanation =>
  waiting(now, `the Cloud Scheduler does not answer: ${problem}; tried again by itself`)

export const refusing = (now: number, problem: string): Explanation =>
  waiting(now, `the Cloud Scheduler does not take the question: ${problem}; tried again by itself`)

export const crowded = (now: number): Explanation =>
  waiting(now, 'the Cloud Scheduler is being asked about other jobs first')

/** What the embedded scheduler found in the place of the other. */
export function standingIn (found: Explanation): Explanation {
  return { ...found, summary: `${found.summary} (by the embedded scheduler: the Cloud Scheduler does not answer)` }
}

/**
 * The scheduler wrote its verdict into the database, and no reason (contract section 4).
 * @param here What the figures here say, by the scheduler's own rule of liveness.
 */
export function notPlaced (now: number, here: Explanation): Explanation {
  const summary = here.outcome === 'placed'
    ? 'the Cloud Scheduler found no place, though by the figures here there is one: ' +
      `${here.clusters[0]?.reason ?? here.summary}`
    : `the Cloud Scheduler found no place: ${here.summary}`
  return { ...here, decided_at: new Date(now).toISOString(), outcome: 'unplaceable', summary }
}

function waiting (now: number, summary: string): Explanation {
  return { decided_at: new Date(now).toISOString(), outcome: 'waiting', summary, clusters: [], omitted: 0 }
}
