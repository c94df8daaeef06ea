import { Type } from '@sinclair/typebox'
import { Job, Revision } from './job.js'
import { Nullable, parseStored, shapeOf, toPort } from './primitives.js'

/**
 * Stored jobs and their versions. A schema change that earlier documents do not satisfy needs a new version and a new
 * step. A released step never changes.
 */

type Fields = Record<string, unknown>

/**
 * Each step upgrades a document to the next version, from version 1 on. Five shapes were stored before documents had a
 * version. All of them count as version 1, so the first five steps only add what is missing.
 */
const STEPS: ReadonlyArray<(job: Fields) => Fields> = [
  // Rollouts, revisions, deadlines and fences. Before, every instance had the newest generation, or awaited it.
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
  // A move has a cause and a start time. Before, `moving_from` was the cluster alone, and only users moved instances.
  job => ({
    ...job,
    instance_list: eachOf(job.instance_list, ({ moving_from: from, ...instance }) => ({
      move: typeof from === 'string' ? { from, why: 'asked', since: instance.status_since } : null,
      silent: false,
      ...instance
    }))
  }),
  // The worker node of a move is in the descriptor. Rollouts have limits: the defaults of a descriptor.
  job => ({
    ...job,
    rollout: withDefaults(job.rollout, { max_unavailable: 1, auto_rollback: true }),
    instance_list: eachOf(job.instance_list, ({ node, ...instance }) => instance)
  }),
  // Rollouts may start additional instances.
  job => ({ ...job, rollout: withDefaults(job.rollout, { max_surge: 0 }) }),
  // An instance stays given up. Before, the next report of its cluster reset that.
  job => ({
    ...job,
    instance_list: eachOf(job.instance_list, instance => ({ given_up: false, ...instance }))
  }),
  // Host ports are numbers. What clusters said is kept: of what is further than placed, some cluster has said so.
  job => ({
    removals: [],
    ...job,
    instance_list: eachOf(job.instance_list, instance => ({
      original: false,
      told: ['NODE_SCHEDULED', 'CREATING', 'CREATED', 'DEPLOYED', 'RUNNING', 'FAILED', 'DEAD', 'COMPLETED'].includes(
        String(instance.status)
      )
        ? instance.status
        : null,
      ...instance,
      host_port: toPort(instance.host_port)
    })),
    retiring: eachOf(job.retiring, entry => ({ original: false, told: null, ...entry }))
  }),
  // Clusters may speak of each instance by its number. A job that is being removed says so, and holds its addresses for
  // a limited time.
  job => ({
    repeats: [],
    ...job,
    ...(job.desired_state === 'undeployed' && job.status !== 'UNDEPLOYED' && { status: 'UNDEPLOYING' }),
    retiring: eachOf(job.retiring, entry => ({ since: job.updated_at, released: false, ...entry })),
    instance_list: eachOf(job.instance_list, instance => ({
      told_apart: false,
      offered: null,
      ...instance
    }))
  }),
  // The descriptor of a revision may be kept apart, which earlier versions would not find.
  job => job
]

/** The version that this server writes, and the highest one that it can read. */
export const NEWEST_VERSION = STEPS.length + 1

/**
 * What the server needs from a stored descriptor. All other rules were applied when it was deployed, as they were then;
 * a document that the original program left may lack an image.
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
    revisions: Type.Array(Type.Object({ ...Revision.properties, descriptor: Nullable(StoredDescriptor) }))
  }),
  'a job'
)

/** The document of a job as JSON, for {@link readJob} of this version and all later ones. */
export function storedJob (job: Job): string {
  return JSON.stringify({ document_version: NEWEST_VERSION, ...job })
}

/**
 * The job of a stored document, upgraded to the newest version. A document without `document_version` has version 1.
 * @param text JSON from {@link storedJob} of this version or an earlier one.
 * @param known What the store knows of the job besides. A document that contradicts it belongs to another job, or is
 *   an old one: acting on it would change the wrong job, or never come to an end.
 * @throws Error that says what is wrong: not JSON, of a newer version, not the shape of a job, another job or revision.
 */
export function readJob (text: string, known: Pick<Job, 'id' | 'revision'>): Job {
  const { document_version: version = 1, ...document } = asFields(text)
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new Error('its document_version is no version')
  }
  if (version > NEWEST_VERSION) {
    throw new Error(
      `it has version ${version}, written by a newer System Manager; this one knows versions up to ${NEWEST_VERSION}`
    )
  }
  const job = asJob(STEPS.slice(version - 1).reduce((job, step) => step(job), document)) as Job
  if (job.id !== known.id) throw new Error('it is the document of another job')
  if (job.revision !== known.revision) {
    throw new Error(`it has revision ${job.revision}, but the job has revision ${known.revision}`)
  }
  return job
}

function asFields (text: string): Fields {
  const value = parseStored(text)
  if (!isFields(value)) throw new Error('it is JSON, but not an object')
  return value
}

function isFields (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Leaves anything but a list of objects as it is, for the check at the end. */
function eachOf (list: unknown, change: (item: Fields) => Fields): unknown {
  return Array.isArray(list) ? list.map(item => isFields(item) ? change(item) : item) : list
}

function withDefaults (value: unknown, defaults: Fields): unknown {
  return isFields(value) ? { ...defaults, ...value } : value
}
