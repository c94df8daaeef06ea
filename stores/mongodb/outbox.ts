import type { Filter } from 'mongodb'
import { asCommand, type Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { JobId } from '../../schemas/job.js'
import { parseStored } from '../../schemas/primitives.js'
import type { OutboxStore } from '../store.js'
import type { Draft, OutboxDocument } from './collections.js'
import type { Connection } from './connection.js'
import { batchFailure } from './failures.js'
import { toObjectId } from './ids.js'
import { readPage } from './pages.js'
import { createRetries } from './retries.js'

export interface Outbox extends OutboxStore {
  /**
   * Puts commands for one cluster behind those that are there, each once: who else puts the same ones there does no
   * harm. A cluster that is gone gets none: its instances are dealt with by whoever removed it.
   */
  append (clusterId: ClusterId, drafts: Draft[]): Promise<void>
  /** Forgets what was settled before. */
  sweepSettled (before: Date): Promise<void>
  /** Forgets what is there for clusters that are gone. */
  sweepOrphans (): Promise<void>
}

/** Commands, or clusters, dealt with in one step of a sweep. */
const SWEEP_STEP = 1000

export function createOutbox ({ collections: { clusters, jobs, outbox }, documents }: Connection): Outbox {
  /**
   * Undefined for an unknown cluster. The outbox is read first: a sweep notes the last number at the cluster before it
   * forgets the command that had it.
   */
  async function position (clusterId: ClusterId): Promise<{ acked: number, last: number } | undefined> {
    const newest = await outbox.findOne({ cluster_id: clusterId }, { sort: { seq: -1 }, projection: { seq: 1 } })
    const cluster = await clusters.findOne({ _id: toObjectId(clusterId) }, {
      projection: { 'system_manager.acked': 1, 'system_manager.last': 1 }
    })
    if (!cluster) return undefined
    const { acked = 0, last = 0 } = cluster.system_manager ?? {}
    return { acked, last: Math.max(last, newest?.seq ?? 0) }
  }

  /**
   * A number is only taken after the one before it was seen in the outbox, and the unique index gives it to one
   * process: there are no gaps, whoever else numbers at the same time. In one insert each document waits for the one
   * before it.
   */
  async function append (clusterId: ClusterId, drafts: Draft[]): Promise<void> {
    const retry = createRetries(`The outbox of ${clusterId}`)
    for (let left = drafts; left.length > 0;) {
      const found = await position(clusterId)
      if (!found) return
      const documents = left.map(({ command_id: id, ...command }, index): OutboxDocument => ({
        _id: id,
        ...command,
        seq: found.last + 1 + index,
        open: true
      }))
      try {
        await outbox.insertMany(documents, { ordered: true })
        return
      } catch (err) {
        const failure = batchFailure(err)
        // Only what another one got in the way of is tried again.
        if (!left.some((_, index) => ['duplicate', 'conflict'].includes(String(failure.of(index))))) throw err
        await retry(err)
        // Another process has put some of them there, or has taken the number for something else.
        const there = await outbox.findMany({ _id: { $in: left.map(draft => draft.command_id) } }, {
          projection: { _id: 1 }
        })
        const ids = new Set(there.map(({ _id }) => _id))
        left = left.filter(draft => !ids.has(draft.command_id))
      }
    }
  }

  async function settle (filter: Filter<OutboxDocument>): Promise<void> {
    await outbox.updateMany({ ...filter, open: true }, { $set: { settled_at: new Date() }, $unset: { open: '' } })
  }

  async function sweepSettled (before: Date): Promise<void> {
    let old: Array<Pick<OutboxDocument, '_id' | 'cluster_id'>>
    do {
      old = await outbox.findMany({ settled_at: { $lt: before } }, { projection: { cluster_id: 1 }, limit: SWEEP_STEP })
      for (const clusterId of new Set(old.map(({ cluster_id: id }) => id))) {
        const found = await position(clusterId)
        if (!found) continue
        await clusters.updateOne({ _id: toObjectId(clusterId) }, { $max: { 'system_manager.last': found.last } })
      }
      await outbox.deleteMany({ _id: { $in: old.map(({ _id }) => _id) } })
    } while (old.length === SWEEP_STEP)
  }

  async function sweepOrphans (): Promise<void> {
    for (
      let after = '', page = await clustersAfter(after, SWEEP_STEP);
      page.length > 0;
      page = await clustersAfter(after, SWEEP_STEP)
    ) {
      const known = new Set(
        (await clusters.findMany({ _id: { $in: page.map(toObjectId) } }, { projection: { _id: 1 } })).map(({ _id }) =>
          _id.toHexString()
        )
      )
      await outbox.deleteMany({ cluster_id: { $in: page.filter(id => !known.has(id)) } })
      after = page.at(-1)!
    }
  }

  async function clustersAfter (after: ClusterId, limit: number): Promise<ClusterId[]> {
    const found = await outbox.aggregateMany<{ _id: ClusterId }>([
      { $match: { open: true, cluster_id: { $gt: after } } },
      { $group: { _id: '$cluster_id' } },
      { $sort: { _id: 1 } },
      { $limit: limit }
    ])
    return found.map(({ _id }) => _id)
  }

  async function untaken (jobId: JobId): Promise<ClusterId[]> {
    const projection = { 'system_manager.drafts.cluster_id': 1 }
    const job = await jobs.findOne({ _id: toObjectId(jobId) }, { projection })
    const drafts = job?.system_manager?.drafts ?? []
    // In this order: a draft leaves its job once it is in the outbox.
    const open = await outbox.distinct('cluster_id', { job_id: jobId, open: true })
    return [...new Set([...drafts.map(({ cluster_id: id }) => id), ...open])]
  }

  return {
    append,
    sweepSettled,
    sweepOrphans,

    position: async clusterId => await position(clusterId) ?? { acked: 0, last: 0 },

    pending: (clusterId, { after, limit }) =>
      readPage(
        (before: OutboxDocument | undefined, most) =>
          outbox.findMany({ open: true, cluster_id: clusterId, seq: { $gt: before?.seq ?? after } }, {
            sort: { seq: 1 },
            limit: most
          }),
        document =>
          documents.ofMany({ kind: 'command', id: clusterId, revision: document.seq }, () => toCommand(document)),
        limit
      ),

    backlog: () => outbox.countDocuments({ open: true }),

    untaken,

    async ack (clusterId, seq) {
      // A cluster may claim more than it was ever sent: that must not settle commands that are yet to come.
      const { acked, last } = await position(clusterId) ?? { acked: 0, last: 0 }
      const upTo = Math.min(seq, last)
      if (upTo <= acked) return
      await settle({ cluster_id: clusterId, seq: { $lte: upTo } })
      await clusters.updateOne({ _id: toObjectId(clusterId) }, { $max: { 'system_manager.acked': upTo } })
    },

    drop: (clusterId, seq) => settle({ cluster_id: clusterId, seq }),

    clusters: ({ after = '', limit }) => clustersAfter(after, limit)
  }
}

function toCommand ({ _id, cluster_id: clusterId, open, job, ...command }: OutboxDocument): Command {
  return asCommand({ ...command, command_id: _id, ...(job !== undefined && { job: parseStored(job) }) })
}
