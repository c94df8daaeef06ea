import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import { InstanceReport, JobReport } from './cluster.js'
import type { JobId } from './job.js'
import { Status } from './status.js'
import { complaintOf, reasonIn } from './wording.js'

/** What a cluster says of a job in a heartbeat. */
export interface Word {
  /** Of the job as a whole. */
  status: Status
  /** Of each instance by its number, where the cluster tells them apart: then the status of the job says nothing. */
  instances?: ReadonlyMap<number, { status: Status, reason: string | null }>
}

/** What this word says of an instance; undefined: nothing. */
export function wordOn (word: Word, instanceNumber: number): { status: Status, reason: string | null } | undefined {
  return word.instances ? word.instances.get(instanceNumber) : { status: word.status, reason: null }
}

/** The status that a word gives to all instances alike; null where they differ. */
export function uniform ({ status, instances }: Word): Status | null {
  if (!instances) return status
  const statuses = new Set([...instances.values()].map(told => told.status))
  return statuses.size === 1 ? [...statuses][0]! : null
}

/** Most warnings kept of one heartbeat. */
const MAX_WARNINGS = 20

const jobReport = TypeCompiler.Compile(JobReport)
const instanceReport = TypeCompiler.Compile(InstanceReport)
const statusCheck = TypeCompiler.Compile(Status)

/** Sorts the job entries of a heartbeat into those that can be understood and a sentence for each other. */
export function readWords (entries: unknown[]): { words: ReadonlyMap<JobId, Word>, warnings: string[] } {
  const words = new Map<JobId, Word>()
  const warnings: string[] = []

  function check<T extends TSchema> (checker: TypeCheck<T>, value: unknown, at: string): value is Static<T> {
    if (checker.Check(value)) return true
    if (warnings.length < MAX_WARNINGS) {
      const error = checker.Errors(value).First()!
      warnings.push(`${at}${error.path.replaceAll('/', '.')}: ${complaintOf(error)}`)
    }
    return false
  }

  for (const [index, entry] of entries.entries()) {
    if (!check(jobReport, entry, `jobs[${index}]`)) continue
    const { system_job_id: id, status, instances } = entry
    const told = instances?.filter((instance, number): instance is InstanceReport =>
      check(instanceReport, instance, `jobs[${index}].instances[${number}]`)
    )
    words.set(id, {
      status,
      // Of those that cannot be understood the status of the job says nothing either.
      ...(told && instances?.length && {
        instances: new Map(told.map(each => [each.instance_number, { status: each.status, reason: reasonOf(each) }]))
      })
    })
  }
  return { words, warnings }
}

/** What a cluster says of an instance besides where it runs; undefined where it says nothing that is understood. */
export function readInstanceWord (
  { status, status_reason: reason }: { status?: unknown, status_reason?: unknown }
): { status: Status, reason: string | null } | undefined {
  return statusCheck.Check(status) ? { status, reason: reasonOf({ status_reason: reason }) } : undefined
}

function reasonOf ({ status_reason: reason }: { status_reason?: unknown }): string | null {
  return typeof reason === 'string' && reason.trim() !== '' ? reasonIn(reason) : null
}
