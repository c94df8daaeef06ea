import { MAX_REVISIONS, type Job } from '../../../schemas/job.js'
import { isUp, newInstance, numbersOf } from './instances.js'
import type { JobEdit } from './job-edit.js'

/**
 * Adds or removes instances until there are as many as `replicas` says, and during an update `max_surge` more. New ones
 * take the lowest free numbers. Those that do not run leave first, then the highest numbers.
 */
export function resize (edit: JobEdit): void {
  const { job, now } = edit
  const target = job.replicas + (job.rollout?.max_surge ?? 0)
  const numbers = new Set(numbersOf(job))

  const up = new Set(job.instance_list.filter(isUp).map(entry => entry.instance_number))
  const leaving = [...numbers].sort((a, b) => Number(up.has(a)) - Number(up.has(b)) || b - a).slice(
    0,
    Math.max(0, numbers.size - target)
  )
  edit.drop(...job.instance_list.filter(entry => leaving.includes(entry.instance_number)))

  for (let number = 0; numbers.size < target; number++) {
    if (numbers.has(number)) continue
    numbers.add(number)
    job.instance_list.push(newInstance(number, job.generation, now))
  }
  job.instance_list.sort((a, b) => a.instance_number - b.instance_number)
}

/** Keeps the present descriptor as a revision to go back to. Called before another replaces it. */
export function keepRevision (job: Job, cause: string, now: string): void {
  job.revisions = [
    { generation: job.generation, descriptor: job.descriptor, replaced_at: now, cause },
    ...job.revisions
  ].slice(0, MAX_REVISIONS)
}
