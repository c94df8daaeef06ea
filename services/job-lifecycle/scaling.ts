import { MAX_REVISIONS, type Instance, type Job } from '../../schemas/job.js'
import { isUp, newInstance, numbersOf } from './instances.js'
import type { JobEdit } from './job-edit.js'

/** Adds instances up to this many, with the lowest numbers that are free. They are placed like any other. */
export function grow (edit: JobEdit, wanted: number): void {
  const { job, now } = edit
  const taken = new Set(numbersOf(job))
  for (let number = 0; taken.size < wanted; number++) {
    if (taken.has(number)) continue
    taken.add(number)
    job.instance_list.push(newInstance(number, job.generation, now))
  }
  job.instance_list.sort((a, b) => a.instance_number - b.instance_number)
}

/** Removes instances down to this many: those that do not run first, of these and of the others the highest numbers. */
export function shrink (edit: JobEdit, wanted: number): void {
  const { job } = edit
  const numbers = numbersOf(job)
  const surplus = numbers.length - wanted
  if (surplus <= 0) return
  const up = new Set(job.instance_list.filter(isUp).map(entry => entry.instance_number))
  const leaving = new Set(numbers.sort((a, b) => Number(up.has(a)) - Number(up.has(b)) || b - a).slice(0, surplus))
  edit.drop(...job.instance_list.filter((entry: Instance) => leaving.has(entry.instance_number)))
}

/** Keeps the present descriptor as a revision to go back to, before another takes its place. */
export function keepRevision (job: Job, cause: string, now: string): void {
  job.revisions = [{ generation: job.generation, descriptor: job.descriptor, replaced_at: now, cause }, ...job.revisions].slice(0, MAX_REVISIONS)
}
