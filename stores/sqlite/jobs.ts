import type { Job, JobEvent } from '../../schemas/job.js'
import type { Status } from '../../schemas/status.js'
import type { JobQuery, JobStore, PlacedInstance } from '../store.js'
import type { AddressPool } from './addresses.js'
import type { Connection } from './connection.js'
import { createJobCommit } from './job-commit.js'
import type { Outbox } from './outbox.js'

interface DocRow {
  doc: string
}

/** Jobs that one transaction of a purge forgets: writers in between need not wait for all of them. */
const PURGE_STEP = 200

export function createJobStore (connection: Connection, addresses: AddressPool, outbox: Outbox): JobStore {
  const { prepare, read, write } = connection
  const commitOne = createJobCommit(connection, addresses, outbox)

  const select = prepare<DocRow>('SELECT doc FROM jobs WHERE id = ?')
  const selectLive = prepare<DocRow>('SELECT doc FROM jobs WHERE live_name = ?')
  const selectLast = prepare<DocRow>(
    'SELECT doc FROM jobs WHERE job_name = ? AND live_name IS NULL ORDER BY created_at DESC, id DESC LIMIT 1'
  )
  const selectUnderscored = prepare<DocRow>(`
    SELECT doc FROM jobs WHERE underscored_name = ? ORDER BY live_name IS NULL, created_at DESC, id DESC LIMIT 2`)
  const selectStatus = prepare<{ status: Status }>('SELECT status FROM jobs WHERE id = ?')
  const selectUnplaced = prepare<DocRow>('SELECT doc FROM jobs WHERE unplaced = 1 AND id > ? ORDER BY id LIMIT ?')
  const selectDocuments = prepare<{ contract: string }>(
    'SELECT contract FROM jobs WHERE status <> \'UNDEPLOYED\' ORDER BY id'
  )
  const selectDue = prepare<DocRow>(`
    SELECT doc FROM jobs WHERE due_at <= ? AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT ?`)
  const selectOn = prepare<PlacedInstance>(
    'SELECT job_id, instance_number, status FROM instances WHERE cluster_id = ? AND cluster_id <> \'\''
  )
  const selectContradicted = prepare<PlacedInstance>(`
    SELECT i.job_id, i.instance_number, i.status FROM json_each(?) AS told JOIN instances AS i ON i.job_id = told.key
    WHERE i.cluster_id = ? AND i.status <> told.value`)
  const sumReserved = prepare<{ cluster_id: string, cpu: number, memory: number }>(`
    SELECT cluster_id, sum(cpu) AS cpu, sum(memory) AS memory FROM instances WHERE on_the_way = 1 GROUP BY cluster_id`)
  const selectEvents = prepare<DocRow & { id: number }>(
    'SELECT id, doc FROM events WHERE job_id = ? AND id > ? ORDER BY id LIMIT ?'
  )
  const selectPurgeable = prepare<{ id: string }>(`
    SELECT id FROM jobs WHERE status = 'UNDEPLOYED' AND updated_at < ? ORDER BY updated_at LIMIT ${PURGE_STEP}`)
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

  return {
    commit: changes => write(() => changes.map(commitOne)),

    get: id => read(() => toJob(select.get(id))),

    getMany: ids => read(() => ids.map(id => toJob(select.get(id))).filter(job => job !== undefined)),

    byName: jobName => read(() => toJob(selectLive.get(jobName) ?? selectLast.get(jobName))),

    byUnderscoredName: name => read(() => toJobs(selectUnderscored.all(name))),

    byAddress: address =>
      read(() => {
        const id = addresses.holder(address)
        return id === undefined ? undefined : toJob(select.get(id))
      }),

    status: id => read(() => selectStatus.get(id)?.status),

    list: query =>
      read(() => {
        const { sql, values } = listQuery(query)
        return toJobs(prepare<DocRow>(sql).all(...values))
      }),

    unplaced: ({ after = '', limit }) => read(() => toJobs(selectUnplaced.all(after, limit))),

    due: ({ before, after, limit }) =>
      read(() => toJobs(selectDue.all(before, after?.due_at ?? '', after?.id ?? '', limit))),

    instancesOn: clusterId => read(() => selectOn.all(clusterId).map(row => ({ ...row }))),

    documents: () => read(() => selectDocuments.all().map(({ contract }) => contract)),

    contradicted: (clusterId, told) =>
      read(() => selectContradicted.all(JSON.stringify(Object.fromEntries(told)), clusterId).map(row => ({ ...row }))),

    reserved: () =>
      read(() =>
        new Map(sumReserved.all().map(({ cluster_id: clusterId, cpu, memory }) => [clusterId, { cpu, memory }]))
      ),

    events: (id, { after = 0, limit }) =>
      read(() =>
        selectEvents.all(id, after, limit).map(row => ({ id: row.id, ...JSON.parse(row.doc) as Omit<JobEvent, 'id'> }))
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
  { status, undeployed, cluster_id: clusterId, job_name: jobName, app_name: appName, app_ns: appNs, after, limit }:
  JobQuery
) {
  const conditions: string[] = []
  const values: Array<string | number> = []
  const where = (condition: string, ...given: string[]) => {
    conditions.push(condition)
    values.push(...given)
  }
  if (status !== undefined) where('status = ?', status)
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
  return { sql: `SELECT doc FROM jobs ${filter} ORDER BY id LIMIT ?`, values: [...values, limit ?? -1] }
}

function toJob (row: DocRow | undefined): Job | undefined {
  return row && JSON.parse(row.doc) as Job
}

function toJobs (rows: DocRow[]): Job[] {
  return rows.map(({ doc }) => JSON.parse(doc) as Job)
}
