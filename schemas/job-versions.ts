import { Type } from '@sinclair/typebox'
import { Job, Revision } from './job.js'
import { shapeOf } from './primitives.js'

/**
 * Stored jobs and their versions. A change of the schema that makes earlier documents differ from what the server
 * expects is a new version and a new step; a step that was released is never changed.
 */

type Fields = Record<string, unknown>

/**
 * Each step brings a document from one version to the next, from version 1 on. Five shapes were stored before documents
 * carried a version, all of which count as version 1: so the first five steps add only what is missing.
 */
const STEPS: ReadonlyArray<(job: Fields) => Fields> = [
  // Rollouts, revisions, deadlines and fences. Before, every instance was of the newest generation, or awaited it.
  job => ({
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    ...job,
    instance_list: eachOf(job.instance_list, instance => ({
      generation: job.generation,
      location: null,
      attempts: 0,
      ...instance
    }))
  }),
  // A move has a cause and a beginning; `moving_from` was the cluster alone, and only users moved instances.
  job => ({
    ...job,
    instance_list: eachOf(job.instance_list, ({ moving_from: from, ...instance }) => ({
      move: typeof from === 'string' ? { from, why: 'asked', since: instance.status_since } : null,
      silent: false,
      ...instance
    }))
  }),
  // The worker node of a move is in the descriptor. Rollouts got the limits that are the defaults of a descriptor.
  job => ({
    ...job,
    rollout: withDefaults(job.rollout, { max_unavailable: 1, auto_rollback: true }),
    instance_list: eachOf(job.instance_list, ({ node, ...instance }) => instance)
  }),
  // Rollouts may start instances beside those that they replace.
  job => ({ ...job, rollout: withDefaults(job.rollout, { max_surge: 0 }) }),
  // That an instance was given up is remembered. Before, the next report of its cluster ended it.
  job => ({
    ...job,
    instance_list: eachOf(job.instance_list, instance => ({ given_up: false, ...instance }))
  })
]

/** The version of the documents that this server writes, and the highest one that it understands. */
export const NEWEST_VERSION = STEPS.length + 1

/**
 * What the server needs of a stored descriptor. What else a descriptor has to be was decided when it came in, by the
 * rules of that time; one that the original left may lack an image.
 */
const StoredDescriptor = Type.Object({
  app_name: Type.String(),
  app_ns: Type.String(),
  service_name: Type.String(),
  service_ns: Type.String()
}, { additionalProperties: true })

const asJob = shapeOf(
  Type.Object({
    ...Job.properties,
    descriptor: StoredDescriptor,
    revisions: Type.Array(Type.Object({ ...Revision.properties, descriptor: StoredDescriptor }))
  }),
  'a job'
)

/** The document of a job as JSON, to be read by {@link readJob} of this version and all later ones. */
export function storedJob (job: Job): string {
  return JSON.stringify({ document_version: NEWEST_VERSION, ...job })
}

/**
 * The job of a stored document, brought up to date. A document without `document_version` has version 1.
 * @param text What {@link storedJob} of this version or an earlier one gave.
 * @throws Error that says what is wrong: not JSON, of a newer version, or not the shape of a job.
 */
export function readJob (text: string): Job {
  const { document_version: version = 1, ...document } = asFields(text)
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new Error(`its document_version is ${JSON.stringify(version)}, which is no version`)
  }
  if (version > NEWEST_VERSION) {
    throw new Error(
      `it has version ${version}, written by a newer System Manager; this one knows versions up to ${NEWEST_VERSION}`
    )
  }
  return asJob(STEPS.slice(version - 1).reduce((job, step) => step(job), document)) as Job
}

function asFields (text: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    // The words of the parser repeat what is stored, which is not for whoever asks.
    throw new Error('it is not JSON', { cause: err })
  }
  if (!isFields(value)) throw new Error('it is JSON, but not an object')
  return value
}

function isFields (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is not a list of objects is left as it is, for the check at the end. */
function eachOf (list: unknown, change: (item: Fields) => Fields): unknown {
  return Array.isArray(list) ? list.map(item => isFields(item) ? change(item) : item) : list
}

function withDefaults (value: unknown, defaults: Fields): unknown {
  return isFields(value) ? { ...defaults, ...value } : value
}
