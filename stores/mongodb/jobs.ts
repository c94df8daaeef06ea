import type { Filter, ObjectId } from 'mongodb'
import { asDescriptor } from '../../schemas/descriptor.js'
import type { Instance, Job } from '../../schemas/job.js'
import { jobWithOid } from '../../schemas/job-document.js'
import { asJobEvent } from '../../schemas/job-event.js'
import { hasUnplaced } from '../../schemas/job-facts.js'
import { parseStored } from '../../schemas/primitives.js'
import type { Status } from '../../schemas/status.js'
import type { CommitOutcome, JobChange, JobQuery, JobStore, PlacedInstance } from '../store.js'
import { inBatches } from './batches.js'
import type { JobDocument } from './collections.js'
import type { Connection } from './connection.js'
import { toObjectId } from './ids.js'
import type { JobCommit } from './job-commit.js'
import { aboutJob, foundByScheduler, toJob, WITHOUT_HISTORY } from './job-document.js'
import { createJobSums } from './job-sums.js'
import type { Notifications } from './notifications.js'
import { readPage } from './pages.js'
import type { Relay } from './relay.js'

/** Changes committed in one batch. */
const MOST = 256

/** Jobs that one step of a purge forgets. */
const PURGE_STEP = 200

/** What is read of an instance instead of its document. */
const INSTANCE_FIELDS = {
  status: 1,
  'system_manager.status': 1,
  'instance_list.instance_number': 1,
  'instance_list.cluster_id': 1,
  'instance_list.status': 1
}

const PROJECTION = { projection: WITHOUT_HISTORY }

export function createJobStore (
  connection: Connection,
  { commit }: JobCommit,
  relay: Relay,
  notifications: Notifications
): JobStore {
  const { collections: { clusters, jobs }, documents, log } = connection
  const commitOne = inBatches(commit, MOST)

  async function commitAll (changes: JobChange[]): Promise<CommitOutcome[]> {
    const outcomes = await Promise.all(changes.map(commitOne))
    const saved = changes.filter((_, index) => outcomes[index]!.outcome === 'saved')
    if (saved.some(({ job }) => hasUnplaced(job))) notifications.publish({ unplaced: true })
    // What is saved is saved: should this fail, maintenance does it.
    try {
      const reached = await Promise.all(
        saved.filter(({ commands }) => commands.length > 0).map(({ job }) => relay.relay(job.id))
      )
      notifications.publish({ commands: reached.flat() })
    } catch (err) {
      log.warn({ err }, 'commands wait in their jobs, they are brought into the outbox later')
    }
    const [first] = outcomes
    if (first?.outcome === 'failed' && outcomes.every(({ outcome }) => outcome === 'failed')) throw first.error
    return outcomes
  }

  /** The job that was asked for; throws `job_unreadable`. */
  function asJob (document: JobDocument): Job {
    return documents.one(aboutJob(document), () => toJob(document))
  }

  /** One job of many. */
  function asJobOfMany (document: JobDocument): Job | undefined {
    return documents.ofMany(aboutJob(document), () => toJob(document))
  }

  /** Jobs in order of id. */
  async function page (filter: Filter<JobDocument>, limit = 0): Promise<Job[]> {
    const behind = (before: JobDocument | undefined) =>
      before ? { $and: [filter, { _id: { $gt: before._id } }] } : filter
    return await readPage(
      (before, most) => jobs.findMany(behind(before), { ...PROJECTION, sort: { _id: 1 }, limit: most }),
      asJobOfMany,
      limit
    )
  }

  async function due (before: string, after: Pick<Job, 'id' | 'due_at'> | undefined, limit: number): Promise<Job[]> {
    const find = (dueAt: unknown, id: ObjectId) =>
      jobs.findMany({
        'system_manager.due_at': { $lte: before },
        $or: [
          { 'system_manager.due_at': { $gt: dueAt } },
          { 'system_manager.due_at': dueAt, _id: { $gt: id } }
        ]
      }, { ...PROJECTION, sort: { 'system_manager.due_at': 1, _id: 1 }, limit })
    return await readPage(
      last =>
        last ? find(last.system_manager!.due_at, last._id) : find(after?.due_at ?? '', toObjectId(after?.id ?? '')),
      asJobOfMany,
      limit
    )
  }

  async function findOne (filter: Filter<JobDocument>): Promise<Job | undefined> {
    const found = await jobs.findOne(filter, PROJECTION)
    return found ? asJob(found) : undefined
  }

  /** The first `most` jobs of a name, in this order. */
  async function named (
    filter: Filter<JobDocument>,
    sort: Record<string, -1>,
    most: number,
    toItem: (document: JobDocument) => Job | undefined = asJobOfMany
  ): Promise<Job[]> {
    let offset = 0
    return await readPage(async () => {
      const found = await jobs.findMany(filter, { ...PROJECTION, sort, skip: offset, limit: most })
      offset += found.length
      return found
    }, toItem, most)
  }

  /** Of a live job that cannot be understood it is not known whether it is the one that is meant. */
  async function byUnderscoredName (name: string): Promise<Job[]> {
    const filter = { 'system_manager.underscored_name': name }
    const sort = { 'system_manager.live_name': -1, 'system_manager.created_at': -1, _id: -1 } as const
    const found = await named(
      filter,
      sort,
      2,
      document => document.system_manager?.live_name === undefined ? asJobOfMany(document) : asJob(document)
    )
    // Nothing else has this name.
    if (found.length === 0) await named(filter, sort, 1, asJob)
    return found
  }

  async function contradicted (
    clusterId: string,
    reported: ReadonlyMap<string, Status | null>
  ): Promise<PlacedInstance[]> {
    const byStatus = new Map<Status | null, string[]>()
    for (const [id, status] of reported) {
      const ids = byStatus.get(status)
      if (ids) ids.push(id)
      else byStatus.set(status, [id])
    }
    if (byStatus.size === 0) return []
    const filter = [...byStatus].map(([status, ids]) => ({
      _id: { $in: ids.map(toObjectId) },
      instance_list: { $elemMatch: { cluster_id: clusterId, status: { $ne: status } } }
    }))
    return (await placedOn(clusterId, { $or: filter })).filter(({ job_id: id, status }) => reported.get(id) !== status)
  }

  async function placedOn (clusterId: string, filter: Filter<JobDocument>): Promise<PlacedInstance[]> {
    const found = await jobs.findMany(filter, { projection: INSTANCE_FIELDS })
    return found.flatMap(document => {
      const instances = documents.ofMany(aboutJob(document), () => instancesOf(document)) ?? []
      return instances.filter(instance => instance.cluster_id === clusterId)
        .map(({ instance_number: number, status }) => ({
          job_id: document._id.toHexString(),
          instance_number: number,
          status
        }))
    })
  }

  async function purge (before: string): Promise<number> {
    const old = { 'system_manager.undeployed_at': { $lt: before }, 'system_manager.drafts': { $exists: false } }
    const projection = { 'system_manager.removals': 1 }
    let total = 0
    let found: JobDocument[] = []
    do {
      const after = found.at(-1)?._id ?? toObjectId('')
      found = await jobs.findMany({ ...old, _id: { $gt: after } }, { projection, sort: { _id: 1 }, limit: PURGE_STEP })
      const named = new Set(found.flatMap(({ system_manager: ours }) => ours?.removals ?? []))
      const known = new Set(
        (await clusters.findMany({ _id: { $in: [...named].map(toObjectId) } }, { projection: { _id: 1 } }))
          .map(({ _id }) => _id.toHexString())
      )
      const forgotten = found.filter(({ system_manager: ours }) => !ours?.removals?.some(id => known.has(id)))
      total += (await jobs.deleteMany({ _id: { $in: forgotten.map(({ _id }) => _id) }, ...old })).deletedCount
    } while (found.length === PURGE_STEP)
    return total
  }

  return {
    commit: commitAll,

    get: id => findOne({ _id: toObjectId(id) }),

    async getMany (ids) {
      const found = new Map((await page({ _id: { $in: ids.map(toObjectId) } })).map(job => [job.id, job]))
      return ids.map(id => found.get(id)).filter(job => job !== undefined)
    },

    async oldDescriptors (id) {
      const found = await jobs.findOne({ _id: toObjectId(id) }, { projection: { 'system_manager.old': 1 } })
      const old = found?.system_manager?.old ?? []
      return new Map(old.flatMap((kept, index) => {
        const stored = { kind: 'earlier descriptor' as const, id, revision: index }
        const read = () => [kept.generation, asDescriptor(parseStored(kept.descriptor))] as const
        const descriptor = documents.ofMany(stored, read)
        return descriptor ? [descriptor] : []
      }))
    },

    byName: async jobName =>
      await findOne({ 'system_manager.live_name': jobName }) ??
        (await named({ job_name: jobName }, { 'system_manager.created_at': -1, _id: -1 }, 1))[0],

    byUnderscoredName,

    byAddress: address => findOne({ 'system_manager.addresses': address }),

    async status (id) {
      const found = await jobs.findOne({ _id: toObjectId(id) }, {
        projection: { status: 1, 'system_manager.status': 1, 'system_manager.unplaced': 1 }
      })
      if (!found) return undefined
      return found.system_manager ? foundByScheduler(found) ?? found.system_manager.status : asJob(found).status
    },

    list: async query => query.cluster_id === '' ? [] : await page(listFilter(query), query.limit),

    unplaced: ({ after, limit }) =>
      page({ 'system_manager.unplaced': true, _id: { $gt: toObjectId(after ?? '') } }, limit),

    due: ({ before, after, limit }) => due(before, after, limit),

    instancesOn: async clusterId =>
      clusterId === '' ? [] : await placedOn(clusterId, { 'instance_list.cluster_id': clusterId }),

    documents: async ({ limit, ...query }) =>
      (await page(listFilter({ ...query, undeployed: false }), limit)).map(job => ({
        id: job.id,
        text: JSON.stringify(jobWithOid(job))
      })),

    contradicted,

    ...createJobSums(jobs),

    async events (id, { after = 0, limit }) {
      const found = await jobs.findOne({ _id: toObjectId(id) }, { projection: { 'system_manager.events': 1 } })
      const events = (found?.system_manager?.events ?? []).flatMap((event, index) =>
        documents.ofMany({ kind: 'event', id, revision: index }, () => asJobEvent(event)) ?? []
      )
      return events.filter(event => event.id > after).slice(0, limit)
    },

    purge
  }
}

/** Only the conditions that are asked for, so that each combination finds its index. */
function listFilter (
  { status, undeployed, cluster_id: clusterId, job_name: jobName, app_name: appName, app_ns: appNs, after }: JobQuery
): Filter<JobDocument> {
  // Also keeps away what has an id of another kind, which cannot be a job.
  const conditions: Array<Filter<JobDocument>> = [{ _id: { $gt: toObjectId(after ?? '') } }]
  if (status !== undefined) conditions.push({ status: { $in: [...status] } })
  if (undeployed === false) conditions.push({ status: { $ne: 'UNDEPLOYED' } })
  if (clusterId !== undefined) {
    conditions.push({ $or: [{ 'instance_list.cluster_id': clusterId }, { 'system_manager.retiring': clusterId }] })
  }
  if (jobName !== undefined) conditions.push({ job_name: jobName })
  if (appName !== undefined) conditions.push({ app_name: appName })
  if (appNs !== undefined) conditions.push({ app_ns: appNs })
  return { $and: conditions }
}

/** The instances of a document of which only {@link INSTANCE_FIELDS} was read. */
function instancesOf (document: JobDocument): Array<Pick<Instance, 'instance_number' | 'cluster_id' | 'status'>> {
  if (!document.system_manager) return toJob(document).instance_list
  if (!Array.isArray(document.instance_list)) throw new Error('its instance_list is not a list')
  return document.instance_list
}
