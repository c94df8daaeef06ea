import type { Instance, Job } from '../../schemas/job.js'
import { jobTexts, jobWithOid } from '../../schemas/job-document.js'
import { storedJob } from '../../schemas/job-versions.js'
import {
  hasUnplaced,
  hostPortsOf,
  isReserving,
  reservationOf,
  underscored,
  withoutOldDescriptors
} from '../../schemas/job-facts.js'
import type { Status } from '../../schemas/status.js'
import { MAX_EVENTS_PER_JOB, type CommitOutcome, type JobChange } from '../store.js'
import type { AddressPool } from './addresses.js'
import type { Connection } from './connection.js'
import type { Outbox } from './outbox.js'

/** What is stored of a job beside its document. */
interface StoredJob {
  live_name: string | null
  status: Status
  unplaced: number
  due_at: string | null
  revision: number
  last_event: number
}

type InstanceRow =
  & Pick<Instance, 'instance_number' | 'cluster_id' | 'status'>
  & { on_the_way: number, cpu: number, memory: number, host_port: string | null }

/** Commits one change of a job inside of a write: everything of it, or nothing when it is not saved. */
export function createJobCommit (
  { prepare, attempt }: Connection,
  addresses: AddressPool,
  outbox: Outbox
): (change: JobChange) => CommitOutcome {
  const selectStored = prepare<StoredJob>(
    'SELECT live_name, status, unplaced, due_at, revision, last_event FROM jobs WHERE id = ?'
  )
  const selectLive = prepare<{ id: string }>('SELECT id FROM jobs WHERE live_name = ?')
  const insertJob = prepare(`
    INSERT INTO jobs (live_name, status, unplaced, due_at, job_name, underscored_name, app_name, app_ns, created_at,
      revision, last_event, updated_at, doc, contract, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  // Two updates, since naming an indexed column rewrites its index even where the value stays.
  const updateKeys = prepare('UPDATE jobs SET live_name = ?, status = ?, unplaced = ?, due_at = ? WHERE id = ?')
  const updateDoc = prepare(
    'UPDATE jobs SET revision = ?, last_event = ?, updated_at = ?, doc = ?, contract = ? WHERE id = ?'
  )

  const selectInstances = prepare<InstanceRow>(
    'SELECT instance_number, cluster_id, status, on_the_way, cpu, memory, host_port FROM instances WHERE job_id = ?'
  )
  const upsertInstance = prepare(`
    INSERT INTO instances (job_id, instance_number, cluster_id, status, on_the_way, cpu, memory, host_port)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (job_id, instance_number, cluster_id) DO UPDATE SET
      status = excluded.status, on_the_way = excluded.on_the_way, cpu = excluded.cpu, memory = excluded.memory,
      host_port = excluded.host_port`)
  const deleteInstance = prepare('DELETE FROM instances WHERE job_id = ? AND instance_number = ? AND cluster_id = ?')

  const selectRetiring = prepare<{ cluster_id: string }>('SELECT cluster_id FROM retiring WHERE job_id = ?')
  const insertRetiring = prepare('INSERT INTO retiring (job_id, cluster_id) VALUES (?, ?)')
  const deleteRetiring = prepare('DELETE FROM retiring WHERE job_id = ? AND cluster_id = ?')

  const insertEvent = prepare('INSERT INTO events (job_id, id, doc) VALUES (?, ?, ?)')
  const trimEvents = prepare('DELETE FROM events WHERE job_id = ? AND id <= ?')

  const insertOld = prepare('INSERT OR REPLACE INTO descriptors (job_id, generation, doc) VALUES (?, ?, ?)')
  const trimOld = prepare('DELETE FROM descriptors WHERE job_id = ? AND generation < ?')

  function commit ({ job, events, commands }: JobChange): CommitOutcome {
    const stored = selectStored.get(job.id)
    if ((stored?.revision ?? 0) !== job.revision) return { outcome: 'stale' }
    const liveName = job.desired_state === 'running' ? job.job_name : null
    if (liveName !== stored?.live_name && selectLive.get(liveName)) return { outcome: 'name_taken' }
    const settled = addresses.settle(job)
    if (settled.outcome !== 'settled') return settled

    const complete = { ...settled.job, revision: job.revision + 1 }
    const { job: saved, old } = withoutOldDescriptors(complete)
    const lastEvent = (stored?.last_event ?? 0) + events.length
    saveJob(saved, stored, liveName, lastEvent)
    for (const { generation, descriptor } of old) insertOld.run(job.id, generation, JSON.stringify(descriptor))
    if (old.length > 0) trimOld.run(job.id, saved.revisions.at(-1)!.generation)
    saveInstances(saved)
    saveRetiring(saved)
    for (const [index, event] of events.entries()) {
      insertEvent.run(job.id, lastEvent - events.length + 1 + index, JSON.stringify(event))
    }
    if (lastEvent > MAX_EVENTS_PER_JOB) trimEvents.run(job.id, lastEvent - MAX_EVENTS_PER_JOB)

    const textFor = jobTexts(complete)
    for (const command of commands) outbox.append(command, textFor)
    return { outcome: 'saved', job: saved }
  }

  function saveJob (job: Job, stored: StoredJob | undefined, liveName: string | null, lastEvent: number): void {
    const unplaced = Number(hasUnplaced(job))
    const keys = [liveName, job.status, unplaced, job.due_at] as const
    const doc = [
      job.revision,
      lastEvent,
      job.updated_at,
      storedJob(job),
      JSON.stringify(jobWithOid(job)),
      job.id
    ] as const
    if (!stored) {
      const { app_name: appName, app_ns: appNs } = job.descriptor
      insertJob.run(...keys, job.job_name, underscored(job.job_name), appName, appNs, job.created_at, ...doc)
      return
    }
    updateDoc.run(...doc)
    if (
      stored.live_name !== liveName || stored.status !== job.status || stored.unplaced !== unplaced ||
      stored.due_at !== job.due_at
    ) {
      updateKeys.run(...keys, job.id)
    }
  }

  /** Writes only the rows that differ: one instance of a thousand may change its status every second. */
  function saveInstances (job: Job): void {
    const { cpu, memory } = reservationOf(job.descriptor)
    const hostPort = hostPortsOf(job.descriptor).join(';') || null
    const rows = new Map(selectInstances.all(job.id).map(row => [rowKey(row), row]))
    for (const instance of job.instance_list) {
      const { instance_number: number, cluster_id: clusterId, status } = instance
      const row = rows.get(rowKey(instance))
      rows.delete(rowKey(instance))
      const onTheWay = Number(isReserving(instance))
      if (
        row && row.status === status && row.on_the_way === onTheWay && row.cpu === cpu && row.memory === memory &&
        row.host_port === hostPort
      ) continue
      upsertInstance.run(job.id, number, clusterId, status, onTheWay, cpu, memory, hostPort)
    }
    for (const { instance_number: number, cluster_id: clusterId } of rows.values()) {
      deleteInstance.run(job.id, number, clusterId)
    }
  }

  function saveRetiring (job: Job): void {
    const clusters = new Set(job.retiring.map(entry => entry.cluster_id))
    for (const { cluster_id: clusterId } of selectRetiring.all(job.id)) {
      if (!clusters.delete(clusterId)) deleteRetiring.run(job.id, clusterId)
    }
    for (const clusterId of clusters) insertRetiring.run(job.id, clusterId)
  }

  return change => attempt(() => commit(change), ({ outcome }) => outcome === 'saved')
}

const rowKey = ({ instance_number: number, cluster_id: clusterId }: Pick<Instance, 'instance_number' | 'cluster_id'>) =>
  `${number} ${clusterId}`
