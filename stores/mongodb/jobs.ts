import type { Filter } from 'mongodb'
import type { Job } from '../../schemas/job.js'
import { jobWithOid } from '../../schemas/job-document.js'
import { hasUnplaced } from '../../schemas/job-facts.js'
import type { Status } from '../../schemas/status.js'
import type { CommitOutcome, JobChange, JobQuery, JobStore, PlacedInstance } from '../store.js'
import { inBatches } from './batches.js'
import type { JobDocument } from './collections.js'
import { LONG_MS, type Connection } from './connection.js'
import { toObjectId } from './ids.js'
import type { JobCommit } from './job-commit.js'
import { foundByScheduler, toJob, WITHOUT_HISTORY } from './job-document.js'
import type { Notifications } from './notifications.js'
import type { Relay } from './relay.js'

/** Changes committed in one batch. */
const MOST = 256

/** Jobs that one step of a purge forgets. */
const PURGE_STEP = 200

/** What is read of an instance instead of its document. */
const PLACES = {
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
  const { collections: { jobs }, log, run } = connection
  const commitOne = inBatches(commit, MOST)

  async function commitAll (changes: JobChange[]): Promise<CommitOutcome[]> {
    const outcomes = await Promise.all(changes.map(commitOne))
    const saved = changes.filter((_, index) => outcomes[index]!.outcome === 'saved')
    if (saved.some(({ job }) => hasUnplaced(job))) notifications.publish({ unplaced: true })
    // What is saved is saved: should this fail, it is done by upkeep.
    try {
      const reached = await Promise.all(
        saved.filter(({ commands }) => commands.length > 0).map(({ job }) => relay.relay(job.id))
      )
      notifications.publish({ commands: reached.flat() })
    } catch (err) {
      log.warn({ err }, 'commands wait in their jobs, they are brought into the outbox later')
    }
    return outcomes
  }

  async function find (
    filter: Filter<JobDocument>,
    { sort = { _id: 1 } as Record<string, 1 | -1>, limit = 0 } = {}
  ): Promise<Job[]> {
    return (await jobs.find(filter, PROJECTION).sort(sort).limit(limit).toArray()).map(toJob)
  }

  async function findOne (filter: Filter<JobDocument>): Promise<Job | undefined> {
    const found = await jobs.findOne(filter, PROJECTION)
    return found ? toJob(found) : undefined
  }

  async function contradicted (clusterId: string, told: ReadonlyMap<string, Status>): Promise<PlacedInstance[]> {
    const byStatus = new Map<Status, string[]>()
    for (const [id, status] of told) {
      const ids = byStatus.get(status)
      if (ids) ids.push(id)
      else byStatus.set(status, [id])
    }
    if (byStatus.size === 0) return []
    const filter = [...byStatus].map(([status, ids]) => ({
      _id: { $in: ids.map(toObjectId) },
      instance_list: { $elemMatch: { cluster_id: clusterId, status: { $ne: status } } }
    }))
    return (await placedOn(clusterId, { $or: filter })).filter(({ job_id: id, status }) => told.get(id) !== status)
  }

  async function placedOn (clusterId: string, filter: Filter<JobDocument>): Promise<PlacedInstance[]> {
    const found = await jobs.find(filter, { projection: PLACES }).toArray()
    return found.flatMap(document => {
      const instances = document.system_manager
        ? document.instance_list as Job['instance_list']
        : toJob(document).instance_list
      return instances.filter(instance => instance.cluster_id === clusterId)
        .map(({ instance_number: number, status }) => ({
          job_id: document._id.toHexString(),
          instance_number: number,
          status
        }))
    })
  }

  async function purgeStep (before: string): Promise<number> {
    const old = { 'system_manager.undeployed_at': { $lt: before }, 'system_manager.drafts': { $exists: false } }
    const found = await jobs.find(old, { projection: { _id: 1 } }).limit(PURGE_STEP).toArray()
    return (await jobs.deleteMany({ _id: { $in: found.map(({ _id }) => _id) }, ...old })).deletedCount
  }

  return {
    commit: changes => run(() => commitAll(changes)),

    get: id => run(() => findOne({ _id: toObjectId(id) })),

    getMany: ids =>
      run(async () => {
        const found = new Map((await find({ _id: { $in: ids.map(toObjectId) } })).map(job => [job.id, job]))
        return ids.map(id => found.get(id)).filter(job => job !== undefined)
      }),

    byName: jobName =>
      run(async () =>
        await findOne({ 'system_manager.live_name': jobName }) ??
          (await find({ job_name: jobName }, { sort: { 'system_manager.created_at': -1, _id: -1 }, limit: 1 }))[0]
      ),

    byUnderscoredName: name =>
      run(() =>
        find(
          { 'system_manager.underscored_name': name },
          { sort: { 'system_manager.live_name': -1, 'system_manager.created_at': -1, _id: -1 }, limit: 2 }
        )
      ),

    byAddress: address => run(() => findOne({ 'system_manager.addresses': address })),

    status: id =>
      run(async () => {
        const found = await jobs.findOne({ _id: toObjectId(id) }, {
          projection: { status: 1, 'system_manager.status': 1, 'system_manager.unplaced': 1 }
        })
        if (!found) return undefined
        return found.system_manager ? foundByScheduler(found) ?? found.system_manager.status : toJob(found).status
      }),

    list: query =>
      run(async () => query.cluster_id === '' ? [] : await find(listFilter(query), { limit: query.limit ?? 0 })),

    unplaced: ({ after, limit }) =>
      run(() =>
        find({ 'system_manager.unplaced': true, ...(after !== undefined && { _id: { $gt: toObjectId(after) } }) }, {
          limit
        })
      ),

    due: ({ before, after, limit }) =>
      run(() => {
        const due = { 'system_manager.due_at': { $lte: before } }
        const isLater = after && [
          { 'system_manager.due_at': { $gt: after.due_at } },
          { 'system_manager.due_at': after.due_at, _id: { $gt: toObjectId(after.id) } }
        ]
        return find(isLater ? { ...due, $or: isLater } : due, { sort: { 'system_manager.due_at': 1, _id: 1 }, limit })
      }),

    instancesOn: clusterId =>
      run(async () => clusterId === '' ? [] : await placedOn(clusterId, { 'instance_list.cluster_id': clusterId })),

    documents: () =>
      run(async () => (await find(listFilter({ undeployed: false }))).map(job => JSON.stringify(jobWithOid(job)))),

    contradicted: (clusterId, told) => run(() => contradicted(clusterId, told)),

    reserved: () =>
      run(async () => {
        const sums = new Map<string, { cpu: number, memory: number }>()
        const found = jobs.find({ 'system_manager.on_the_way.cluster_id': { $exists: true } }, {
          projection: { 'system_manager.on_the_way': 1 }
        })
        for (
          const { cluster_id: clusterId, cpu, memory } of (await found.toArray()).flatMap(({ system_manager: ours }) =>
            ours?.on_the_way ?? []
          )
        ) {
          const sum = sums.get(clusterId) ?? { cpu: 0, memory: 0 }
          sums.set(clusterId, { cpu: sum.cpu + cpu, memory: sum.memory + memory })
        }
        return sums
      }),

    events: (id, { after = 0, limit }) =>
      run(async () => {
        const found = await jobs.findOne({ _id: toObjectId(id) }, { projection: { 'system_manager.events': 1 } })
        return (found?.system_manager?.events ?? []).filter(event => event.id > after).slice(0, limit)
      }),

    async purge (before) {
      let total = 0
      for (let step = PURGE_STEP; step === PURGE_STEP; total += step) step = await run(() => purgeStep(before), LONG_MS)
      return total
    }
  }
}

/** Only the conditions that are asked for, so that each combination finds its index. */
function listFilter (
  { status, undeployed, cluster_id: clusterId, job_name: jobName, app_name: appName, app_ns: appNs, after }: JobQuery
): Filter<JobDocument> {
  // Also keeps away what has an id of another kind, which cannot be a job.
  const conditions: Array<Filter<JobDocument>> = [{ _id: { $gt: toObjectId(after ?? '') } }]
  if (status !== undefined) conditions.push({ status })
  if (undeployed === false) conditions.push({ status: { $ne: 'UNDEPLOYED' } })
  if (clusterId !== undefined) {
    conditions.push({ $or: [{ 'instance_list.cluster_id': clusterId }, { 'system_manager.retiring': clusterId }] })
  }
  if (jobName !== undefined) conditions.push({ job_name: jobName })
  if (appName !== undefined) conditions.push({ app_name: appName })
  if (appNs !== undefined) conditions.push({ app_ns: appNs })
  return { $and: conditions }
}
