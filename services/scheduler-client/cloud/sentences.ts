import type { Explanation } from '../../../schemas/job.js'

/**
 * What a job shows while the Cloud Scheduler is to decide about it. A sentence stays the same for as long as the
 * situation does, since a new one is a write.
 */

/** The scheduler has been asked, or is about to be. */
export const awaited = (now: number): Explanation =>
  waiting(now, 'waiting for the answer of the Cloud Scheduler')

export const callbackLate = (now: number, askedAt: number): Explanation =>
  waiting(
    now,
    `the Cloud Scheduler has not called back within ${Math.round((now - askedAt) / 1000)} s; asking again`
  )

/** @param problem What is wrong with the connection. */
export const silent = (now: number, problem: string): Explanation =>
  waiting(now, `the Cloud Scheduler does not answer: ${problem}; retrying`)

export const refusing = (now: number, problem: string): Explanation =>
  waiting(now, `the Cloud Scheduler does not accept the question: ${problem}; retrying`)

export const crowded = (now: number): Explanation =>
  waiting(now, 'other jobs are ahead of this one at the Cloud Scheduler')

/** What the embedded scheduler found in place of the Cloud Scheduler. */
export function standingIn (found: Explanation): Explanation {
  return { ...found, summary: `${found.summary} (by the embedded scheduler: the Cloud Scheduler does not answer)` }
}

/**
 * The scheduler wrote its verdict into the database, and no reason (contract section 4).
 * @param here What the figures here say, by the scheduler's own rule of liveness; undefined when they say nothing.
 */
export function notPlaced (now: number, here: Explanation | undefined): Explanation {
  const verdict = 'the Cloud Scheduler found no place'
  const decided = { decided_at: new Date(now).toISOString(), outcome: 'unplaceable' } as const
  if (!here) return { ...decided, summary: verdict, clusters: [], omitted: 0 }
  const summary = here.outcome === 'placed'
    ? `${verdict}, though by the figures here there is one: ${here.clusters[0]?.reason ?? here.summary}`
    : `${verdict}: ${here.summary}`
  return { ...here, ...decided, summary }
}

function waiting (now: number, summary: string): Explanation {
  return { decided_at: new Date(now).toISOString(), outcome: 'waiting', summary, clusters: [], omitted: 0 }
}
