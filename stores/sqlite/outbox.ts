import { asCommand, type CommandDraft } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import { carriesDocument } from '../../schemas/job-facts.js'
import { parseStored } from '../../schemas/primitives.js'
import type { OutboxStore } from '../store.js'
import type { Connection } from './connection.js'
import { readPage } from './pages.js'

export interface Outbox extends OutboxStore {
  /**
   * Puts a command into the outbox of its cluster; to be called inside of a write. A cluster that was removed
   * meanwhile gets none: its instances are dealt with by whoever removed it.
   * @param textFor The job document of a cluster as JSON, kept for the kinds that carry it.
   */
  append (draft: CommandDraft, textFor: (clusterId: ClusterId) => string): void
}

export function createOutbox ({ prepare, read, write, documents }: Connection): Outbox {
  const nextSeq = prepare<{ last_seq: number }>(
    'UPDATE clusters SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq'
  )
  const insert = prepare('INSERT INTO outbox (cluster_id, seq, command, job) VALUES (?, ?, ?, ?)')
  const position = prepare<{ acked: number, last: number }>(
    'SELECT acked_seq AS acked, last_seq AS last FROM clusters WHERE id = ?'
  )
  const count = prepare<{ backlog: number }>('SELECT count(*) AS backlog FROM outbox')
  const pending = prepare<{ seq: number, command: string, job: string | null }>(
    'SELECT seq, command, job FROM outbox WHERE cluster_id = ? AND seq > ? ORDER BY seq LIMIT ? OFFSET ?'
  )
  // A cluster may claim more than it was ever sent: that must not settle commands that are yet to come.
  const moveAcked = prepare<{ acked_seq: number }>(
    'UPDATE clusters SET acked_seq = max(acked_seq, min(?, last_seq)) WHERE id = ? RETURNING acked_seq'
  )
  const selectClusters = prepare<{ cluster_id: string }>(
    'SELECT DISTINCT cluster_id FROM outbox WHERE cluster_id > ? ORDER BY cluster_id LIMIT ?'
  )
  const selectUntaken = prepare<{ cluster_id: string }>(
    "SELECT DISTINCT cluster_id FROM outbox WHERE command ->> 'job_id' = ?"
  )
  const removeAcked = prepare('DELETE FROM outbox WHERE cluster_id = ? AND seq <= ?')
  const removeOne = prepare('DELETE FROM outbox WHERE cluster_id = ? AND seq = ?')

  return {
    append ({ cluster_id: clusterId, ...command }, textFor) {
      const seq = nextSeq.get(clusterId)?.last_seq
      if (seq === undefined) return
      insert.run(clusterId, seq, JSON.stringify(command), carriesDocument(command) ? textFor(clusterId) : null)
    },

    position: clusterId => read(() => ({ acked: 0, last: 0, ...position.get(clusterId) })),

    pending: (clusterId, { after, limit }) =>
      read(() =>
        readPage(
          (limit, offset) => pending.all(clusterId, after, limit, offset),
          ({ seq, command, job }) =>
            documents.ofMany({ kind: 'command', id: clusterId, revision: seq }, () =>
              asCommand({ ...parseStored(command) as object, seq, ...(job !== null && { job: parseStored(job) }) })),
          limit
        )
      ),

    backlog: () => read(() => count.get()!.backlog),

    untaken: jobId => read(() => selectUntaken.all(jobId).map(row => row.cluster_id)),

    ack: (clusterId, seq) =>
      write(() => {
        const acked = moveAcked.get(seq, clusterId)?.acked_seq
        if (acked !== undefined) removeAcked.run(clusterId, acked)
      }),

    drop: (clusterId, seq) =>
      write(() => {
        removeOne.run(clusterId, seq)
      }),

    clusters: ({ after = '', limit }) => read(() => selectClusters.all(after, limit).map(row => row.cluster_id))
  }
}
