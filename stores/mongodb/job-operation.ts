import type { AnyBulkWriteOperation, PushOperator, UpdateFilter } from 'mongodb'
import { MAX_REVISIONS, type Job } from '../../schemas/job.js'
import { jobTexts } from '../../schemas/job-document.js'
import { carriesDocument, withoutOldDescriptors } from '../../schemas/job-facts.js'
import { toOffset } from '../address-space.js'
import { MAX_EVENTS_PER_JOB, type JobChange } from '../store.js'
import type { Draft, JobDocument, JobRecord } from './collections.js'
import { toObjectId } from './ids.js'
import { contractFields, numbered, OPTIONAL_FIELDS, recordFields } from './job-document.js'

/** What is read of a stored job before it is changed. */
export type Stored = Pick<JobDocument, '_id' | 'status'> & {
  system_manager?: Pick<JobRecord, typeof STORED_FIELDS[number]>
}

const STORED_FIELDS = [
  'revision',
  'status',
  'unplaced',
  'desired_state',
  'live_name',
  'addresses',
  'shared',
  'fields',
  'last_event'
] as const

export const STORED = {
  status: 1,
  ...Object.fromEntries(STORED_FIELDS.map(name => [`system_manager.${name}`, 1]))
}

/** One change on its way, and where its outcome goes. */
export interface Step {
  change: JobChange
  index: number
  stored: Stored | undefined
  /** Whether the job holds its name while it is to run. */
  named: boolean
  /** Addresses that it has and another job holds: the original gave them out twice. */
  shared: readonly string[]
  /** It is taken over with the addresses that it has, whatever they are. */
  isAdopted: boolean
  /** The job as it is to be stored, and the addresses that were taken for it. */
  next: Job
  taken: string[]
}

/** How a document of the original is taken over: see {@link Step}. */
export interface Adoption {
  named: boolean
  shared: string[]
}

/** @param adoption Where the document is taken over from the original. */
export function stepOf (change: JobChange, stored: Stored | undefined, adoption?: Adoption): Step {
  return {
    change,
    index: 0,
    stored,
    named: adoption?.named ?? ownsName(stored),
    shared: adoption?.shared ?? stored?.system_manager?.shared ?? [],
    isAdopted: adoption !== undefined,
    next: change.job,
    taken: []
  }
}

/** A job that is to run without holding its name goes on like that: see `adopt`. */
function ownsName (stored: Stored | undefined): boolean {
  const before = stored?.system_manager
  return !(before?.desired_state === 'running' && before.live_name === undefined)
}

/** Whether the job may have this address: one that the original gave it from elsewhere it keeps. */
export function isOurs ({ stored, shared, isAdopted }: Step, address: string): boolean {
  return isAdopted || toOffset(address) !== undefined || shared.includes(address) ||
    (stored?.system_manager?.addresses?.includes(address) ?? false)
}

/** The whole change as one operation on one document. */
export function toOperation (
  { change: { events, commands }, stored, named, shared, next }: Step,
  change: string
): AnyBulkWriteOperation<JobDocument> {
  const fields = contractFields(next)
  const lastEvent = stored?.system_manager?.last_event ?? 0
  const record = recordFields(next, {
    lastEvent: lastEvent + events.length,
    change,
    fields: Object.keys(fields),
    named,
    shared
  })
  const newest = numbered(events, lastEvent).slice(-MAX_EVENTS_PER_JOB)
  const drafts = toDrafts(next, commands)
  const old = withoutOldDescriptors(next).old.map(({ generation, descriptor }) => ({
    generation,
    descriptor: JSON.stringify(descriptor)
  }))
  const whole = {
    ...record,
    events: newest,
    ...(drafts.length > 0 && { drafts }),
    ...(old.length > 0 && { old })
  }
  if (!stored) return { insertOne: { document: { _id: toObjectId(next.id), ...fields, system_manager: whole } } }

  const before = stored.system_manager
  // What the Cloud Scheduler may have written since it was read stands in the way, like a revision of ours.
  const filter = { _id: stored._id, 'system_manager.revision': before?.revision ?? null, status: stored.status ?? null }
  if (!before) {
    return { updateOne: { filter, update: { $set: { ...fields, system_manager: whole } } } }
  }
  const gone = [
    ...before.fields.filter(name => !(name in fields)),
    ...OPTIONAL_FIELDS.filter(name => !(name in record)).map(name => `system_manager.${name}`)
  ]
  const push = {
    ...(newest.length > 0 && { 'system_manager.events': { $each: newest, $slice: -MAX_EVENTS_PER_JOB } }),
    ...(drafts.length > 0 && { 'system_manager.drafts': { $each: drafts } }),
    ...(old.length > 0 && { 'system_manager.old': { $each: old, $sort: { generation: 1 }, $slice: -MAX_REVISIONS } })
  }
  const update: UpdateFilter<JobDocument> = {
    $set: {
      ...fields,
      ...Object.fromEntries(Object.entries(record).map(([name, value]) => [`system_manager.${name}`, value]))
    },
    ...(gone.length > 0 && { $unset: Object.fromEntries(gone.map(name => [name, ''])) }),
    ...(Object.keys(push).length > 0 && { $push: push as PushOperator<JobDocument> })
  }
  return { updateOne: { filter, update } }
}

/** Deploy and replicate carry the job as it is stored along with them. */
function toDrafts (job: Job, commands: JobChange['commands']): Draft[] {
  const textFor = jobTexts(job)
  return commands.map(command => ({
    ...command,
    ...(carriesDocument(command) && { job: textFor(command.cluster_id) })
  }))
}
