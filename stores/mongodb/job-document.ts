import type { Job, JobId } from '../../schemas/job.js'
import type { JobEvent } from '../../schemas/job-event.js'
import { jobWithPlainId } from '../../schemas/job-document.js'
import { readJob, storedJob } from '../../schemas/job-versions.js'
import { hasUnplaced, reservationsOf, underscored, withoutOldDescriptors } from '../../schemas/job-facts.js'
import { PLACEMENT_FAILURES, type PlacementFailure } from '../../schemas/status.js'
import { addressesOf } from '../address-space.js'
import type { JobDocument, JobRecord } from './collections.js'
import { fromOriginal } from './original-job.js'
import { storableFields } from './storable.js'

/** What a reader of jobs does not need of a document. */
export const WITHOUT_HISTORY = { 'system_manager.events': 0, 'system_manager.drafts': 0, 'system_manager.old': 0 }

/** What a reader needs to know a status: ours, and that of the Cloud Scheduler. */
export type StatusFields = Pick<JobDocument, 'status'> & { system_manager?: Pick<JobRecord, 'status' | 'unplaced'> }

/**
 * The status that the Cloud Scheduler wrote into the document since our last change: it found no cluster (contract
 * section 4). Undefined when it did not, or when everything is placed by now.
 */
export function foundByScheduler ({ status, system_manager: ours }: StatusFields): PlacementFailure | undefined {
  if (!ours || status === ours.status || ours.unplaced !== true) return undefined
  return PLACEMENT_FAILURES.find(failure => failure === status)
}

/** How logs name the document of a job. */
export function aboutJob ({ _id, system_manager: ours }: JobDocument): { kind: 'job', id: JobId, revision: unknown } {
  return { kind: 'job', id: String(_id), revision: ours?.revision }
}

/**
 * A job from its document, with what the Cloud Scheduler found.
 * @throws Error that says why the document cannot be understood.
 */
export function toJob (document: JobDocument): Job {
  const ours = document.system_manager
  if (!ours) return fromOriginal(document)
  const job = readJob(ours.job, { id: document._id.toHexString(), revision: ours.revision })
  const found = foundByScheduler(document)
  if (!found) return job
  const reason = `the Cloud Scheduler found: ${found}`
  const instances = job.instance_list.map(instance =>
    instance.cluster_id === '' ? { ...instance, status: found, status_reason: reason } : instance
  )
  return { ...job, status: found, status_reason: reason, instance_list: instances }
}

/** Fields of ours that a revision sets, all but those that it adds to. */
export type RecordFields = Omit<JobRecord, 'events' | 'drafts' | 'old'>

/** The fields of the contract, which are at top level. */
export function contractFields (job: Job): Record<string, unknown> {
  const { _id, system_manager: ours, ...fields } = jobWithPlainId(job)
  return storableFields(fields)
}

/**
 * @param named False for one of several live jobs of a name, which the original allowed.
 * @param others Addresses that other jobs hold, should this one have them too.
 */
export function recordFields (
  job: Job,
  { lastEvent, change, fields, named, shared: others }: {
    lastEvent: number
    change: string
    fields: string[]
    named: boolean
    shared: readonly string[]
  }
): RecordFields {
  const all = [...addressesOf(job)]
  const shared = all.filter(address => others.includes(address))
  const addresses = all.filter(address => !others.includes(address))
  const retiring = [...new Set(job.retiring.map(entry => entry.cluster_id))]
  const onTheWay = [...reservationsOf(job)].map(([cluster_id, sum]) => ({ cluster_id, ...sum }))
  return {
    job: storedJob(withoutOldDescriptors(job).job),
    change,
    fields,
    revision: job.revision,
    status: job.status,
    status_reason: job.status_reason,
    desired_state: job.desired_state,
    generation: job.generation,
    created_at: job.created_at,
    updated_at: job.updated_at,
    underscored_name: underscored(job.job_name),
    last_event: lastEvent,
    ...(named && job.desired_state === 'running' && { live_name: job.job_name }),
    ...(addresses.length > 0 && { addresses }),
    ...(shared.length > 0 && { shared }),
    ...(hasUnplaced(job) && { unplaced: true }),
    ...(job.due_at !== null && { due_at: job.due_at }),
    ...(job.status === 'UNDEPLOYED' && { undeployed_at: job.updated_at }),
    ...(retiring.length > 0 && { retiring }),
    ...(job.removals.length > 0 && { removals: job.removals.map(entry => entry.cluster_id) }),
    ...(onTheWay.length > 0 && { on_the_way: onTheWay })
  }
}

/** Fields of ours that a job may lack. */
export const OPTIONAL_FIELDS = [
  'live_name',
  'addresses',
  'shared',
  'unplaced',
  'due_at',
  'undeployed_at',
  'retiring',
  'removals',
  'on_the_way'
] as const satisfies ReadonlyArray<keyof RecordFields>

/** Events with their ids, behind the last one. */
export function numbered (events: ReadonlyArray<Omit<JobEvent, 'id'>>, lastEvent: number): JobEvent[] {
  return events.map((event, index) => ({ id: lastEvent + 1 + index, ...event }))
}
