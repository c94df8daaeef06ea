import { asDescriptor } from '../../schemas/descriptor.js'
import type { Job, JobId } from '../../schemas/job.js'
import { asJobEvent } from '../../schemas/job-event.js'
import { parseStored } from '../../schemas/primitives.js'
import { readJob } from '../../schemas/job-versions.js'
import type { Status } from '../../schemas/status.js'
import type { HostPortUse, JobQuery, JobStore, NamespaceUse, PlacedInstance } from '../store.js'
import type { AddressPool } from './addresses.js'
import type { Connection } from './connection.js'
import { createJobCommit } from './job-commit.js'
import type { Outbox } from './outbox.js'
import { readPage } from './pages.js'

/** A job as it is stored, and what of it is known without its document. */
interface JobRow {
  id: JobId
  revision: number
  doc: string
}

const JOB = 'SELECT id, revision, doc FROM jobs'
const PAGE = 'LIMIT ? OFFSET ?'

/** Jobs that one transaction of a purge forgets: writers in between need not wait for all of them. */
const PURGE_STEP = 200

export function createJobStore (connection: Connection, addresses: AddressPool, outbox: Outbox): JobStore {
  const { prepare, read, write, documents } = connection
  const commitOne = createJobCommit(connection, addresses, outbox)

  const select = prepare<JobRow>(`${JOB} WHERE id = ?`)
  const selectLive = prepare<JobRow>(`${JOB} WHERE live_name = ?`)
  const selectGone = prepare<JobRow>(
    `${JOB} WHERE job_name = ? AND live_name IS NULL ORDER BY created_at DESC, id DESC ${PAGE}`
  )
  const selectUnderscored = prepare<JobRow & { is_live: number }>(`
    SELECT id, revision, doc, live_name IS NOT NULL AS is_live FROM jobs WHERE underscored_name = ?
    ORDER BY live_name IS NULL, created_at DESC, id DESC ${PAGE}`)
  const selectStatus = prepare<{ status: Status }>('SELECT status FROM jobs WHERE id = ?')
  const selectUnplaced = prepare<JobRow>(`${JOB} WHERE unplaced = 1 AND id > ? ORDER BY id ${PAGE}`)
  // What is not JSON would spoil the whole list: it comes with its id, to be logged.
  const selectDocuments = prepare<{ id: JobId, contract: string, is_whole: number }>(`
    SELECT id, contract, json_valid(contract) AS is_whole FROM jobs
    WHERE status <> 'UNDEPLOYED' AND id > ? ORDER BY id ${PAGE}`)
  const selectDue = prepare<JobRow>(
    `${JOB} WHERE due_at <= ? AND (due_at, id) > (?, ?) ORDER BY due_at, id ${PAGE}`
  )
  const selectOn = prepare<PlacedInstance>(
    'SELECT job_id, instance_number, status FROM instances WHERE cluster_id = ? AND cluster_id <> \'\''
  )
  const selectContradicted = prepare<PlacedInstance>(`
    SELECT i.job_id, i.instance_number, i.status
    FROM json_each(?) AS reported JOIN instances AS i ON i.job_id = reported.key
    WHERE i.cluster_id = ? AND i.status IS NOT reported.value`)
  const sumReserved = prepare<{ cluster_id: string, cpu: number, memory: number }>(`
    SELECT cluster_id, sum(cpu) AS cpu, sum(memory) AS memory FROM instances WHERE on_the_way = 1 GROUP BY cluster_id`)
  const countUsed = prepare<NamespaceUse>(`
    SELECT count(DISTINCT jobs.id) AS jobs, count(address) AS addresses
    FROM jobs LEFT JOIN addresses ON addresses.job_id = jobs.id
    WHERE app_ns = ? AND status <> 'UNDEPLOYED'`)
  const countHostPorts = prepare<HostPortUse>(`
    SELECT cluster_id, host_port, count(*) AS instances FROM instances
    WHERE host_port IS NOT NULL AND cluster_id <> '' GROUP BY host_port, cluster_id`)
  const selectEvents = prepare<{ id: number, doc: string }>(
    `SELECT id, doc FROM events WHERE job_id = ? AND id > ? ORDER BY id ${PAGE}`
  )
  const selectOld = prepare<{ generation: number, doc: string }>(
    'SELECT generation, doc FROM descriptors WHERE job_id = ?'
  )
  const selectPurgeable = prepare<{ id: string }>(`
    SELECT id FROM jobs WHERE status = 'UNDEPLOYED' AND updated_at < ? AND NOT EXISTS (
      SELECT 1 FROM json_each(iif(json_valid(doc), doc, '{}'), '$.removals') AS removal
      JOIN clusters ON clusters.id = removal.value ->> 'cluster_id')
    ORDER BY updated_at LIMIT ${PURGE_STEP}`)
  // Its events and instances go with it, by the foreign keys.
  const remove = prepare('DELETE FROM jobs WHERE id = ?')

  function purgeStep (before: string): number {
    const jobs = selectPurgeable.all(before)
    for (const { id } of jobs) {
      addresses.release(id)
      remove.run(id)
    }
    return jobs.length
  }

  const stored = ({ id, revision }: JobRow) => ({ kind: 'job' as const, id, revision })

  /** The job that was asked for; throws `job_unreadable`. */
  function toJob (row: JobRow | undefined): Job | undefined {
    return row && documents.one(stored(row), () => readJob(row.doc, row))
  }

  /** One job of many. */
  function toJobOfMany (row: JobRow | undefined): Job | undefined {
    return row && documents.ofMany(stored(row), () => readJob(row.doc, row))
  }

  /** Of a live job that cannot be understood it is not known whether it is the one that is meant. */
  function byUnderscoredName (name: string): Job[] {
    const rows = (limit: number, offset: number) => selectUnderscored.all(name, limit, offset)
    const found = readPage(rows, row => row.is_live ? toJob(row) : toJobOfMany(row), 2)
    // Nothing else has this name.
    if (found.length === 0) toJob(rows(1, 0)[0])
    return found
  }

  return {
    commit: changes => write(() => changes.map(commitOne)),

    get: id => read(() => toJob(select.get(id))),

    getMany: ids => read(() => ids.map(id => toJobOfMany(select.get(id))).filter(job => job !== undefined)),

    oldDescriptors: id =>
      read(() =>
        new Map(selectOld.all(id).flatMap(({ generation, doc }) => {
          const stored = { kind: 'earlier descriptor' as const, id, revision: generation }
          const descriptor = documents.ofMany(stored, () => asDescriptor(parseStored(doc)))
          return descriptor ? [[generation, descriptor]] : []
        }))
      ),

    byName: jobName =>
      read(() =>
        toJob(selectLive.get(jobName)) ??
          readPage((limit, offset) => selectGone.all(jobName, limit, offset), toJobOfMany, 1)[0]
      ),

    byUnderscoredName: name => read(() => byUnderscoredName(name)),

    byAddress: address =>
      read(() => {
        const id = addresses.holder(address)
        return id === undefined ? undefined : toJob(select.get(id))
      }),

    status: id => read(() => selectStatus.get(id)?.status),

    list: query =>
      read(() => {
        const { sql, values } = listQuery(query)
        const statement = prepare<JobRow>(sql)
        return readPage((limit, offset) => statement.all(...values, limit, offset), toJobOfMany, query.limit)
      }),

    unplaced: ({ after = '', limit }) =>
      read(() => readPage((limit, offset) => selectUnplaced.all(after, limit, offset), toJobOfMany, limit)),

    due: ({ before, after, limit }) =>
      read(() =>
        readPage(
          (limit, offset) => selectDue.all(before, after?.due_at ?? '', after?.id ?? '', limit, offset),
          toJobOfMany,
          limit
        )
      ),

    instancesOn: clusterId => read(() => selectOn.all(clusterId).map(row => ({ ...row }))),

    documents: ({ after = '', limit }) =>
      read(() =>
        readPage((most, offset) => selectDocuments.all(after, most, offset), ({ id, contract, is_whole: isWhole }) => {
          if (isWhole) return { id, text: contract }
          documents.report({ kind: 'job', id }, new Error('its contract document is not JSON'))
          return undefined
        }, limit)
      ),

    contradicted: (clusterId, reported) =>
      read(() =>
        selectContradicted.all(JSON.stringify(Object.fromEntries(reported)), clusterId).map(row => ({ ...row }))
      ),

    reserved: () =>
      read(() =>
        new Map(sumReserved.all().map(({ cluster_id: clusterId, cpu, memory }) => [clusterId, { cpu, memory }]))
      ),

    used: appNs => read(() => ({ ...countUsed.get(appNs)! })),

    hostPorts: () => read(() => countHostPorts.all().map(row => ({ ...row }))),

    events: (id, { after = 0, limit }) =>
      read(() =>
        readPage((most, offset) => selectEvents.all(id, after, most, offset), ({ id: number, doc }) => {
          const stored = { kind: 'event' as const, id, revision: number }
          return documents.ofMany(stored, () => asJobEvent({ id: number, ...parseStored(doc) as object }))
        }, limit)
      ),

    async purge (before) {
      let total = 0
      for (let step = PURGE_STEP; step === PURGE_STEP; total += step) step = await write(() => purgeStep(before))
      return total
    }
  }
}

/** Only the conditions that are asked for, so that each combination finds its index. */
function listQuery (
  { status, undeployed, cluster_id: clusterId, job_name: jobName, app_name: appName, app_ns: appNs, after }: JobQuery
) {
  const conditions: string[] = []
  const values: string[] = []
  const where = (condition: string, ...given: string[]) => {
    conditions.push(condition)
    values.push(...given)
  }
  if (status !== undefined) where(`status IN (${status.map(() => '?').join(', ')})`, ...status)
  if (undeployed === false) where('status <> \'UNDEPLOYED\'')
  if (clusterId !== undefined) {
    where(
      `id IN (
      SELECT job_id FROM instances WHERE cluster_id = ? AND cluster_id <> ''
      UNION SELECT job_id FROM retiring WHERE cluster_id = ?)`,
      clusterId,
      clusterId
    )
  }
  if (jobName !== undefined) where('job_name = ?', jobName)
  if (appName !== undefined) where('app_name = ?', appName)
  if (appNs !== undefined) where('app_ns = ?', appNs)
  if (after !== undefined) where('id > ?', after)
  const filter = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''
  return { sql: `${JOB} ${filter} ORDER BY id ${PAGE}`, values }
}
