import type { Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import { jobForCluster } from '../../schemas/job-document.js'
import type { OutboxStore } from '../../stores/store.js'
import type { ClusterReports, Report, ReportOutcome } from '../job-lifecycle/operations/cluster-reports.js'

/** Where a session goes on in the outbox of its cluster. */
export interface Start {
  /** The cluster goes on from its `last_seq`. */
  resumed: boolean
  /** `seq` of the first command that follows. */
  nextSeq: number
  /** The whole desired state, when what the cluster has cannot be known and the past cannot be sent again. */
  desired: Array<Record<string, unknown>> | undefined
}

/** What a cluster says on its channel. */
export type Word = { ack: number } | Exclude<Report, { acknowledged: unknown }>

/** Settles commands, for the jobs and in the outbox, by what clusters answer. */
export interface Acknowledgements {
  /** Takes the `last_seq` of a registration as an acknowledgement if it can be one, and says where to go on. */
  start (clusterId: ClusterId, lastSeq: number | undefined): Promise<Start>
  /**
   * Takes what a cluster said at about the same time, in this order. `ack`: all up to this `seq` is durably taken.
   * @returns An outcome for each; undefined for a `seq` that was never given out.
   */
  hear (clusterId: ClusterId, words: Word[]): Promise<Array<ReportOutcome | undefined>>
  /** Settles this command alone: earlier ones may still wait. */
  take (clusterId: ClusterId, command: Command): Promise<void>
  /** The command is refused. False when it is not waiting for an answer. */
  refuse (clusterId: ClusterId, seq: number, error: string): Promise<boolean>
}

/** Commands read at a time. */
const PAGE = 64

export function createAcknowledgements (outbox: OutboxStore, reports: ClusterReports): Acknowledgements {
  /** The oldest command behind `after` that waits for an answer. */
  async function oldest (clusterId: ClusterId, after: number): Promise<Command | undefined> {
    const [command] = await outbox.pending(clusterId, { after, limit: 1 })
    return command
  }

  /** The commands behind `after` up to `seq` that wait for an answer, without their documents. */
  async function waiting (clusterId: ClusterId, after: number, seq: number): Promise<Command[]> {
    const all: Command[] = []
    while (after < seq) {
      // `seq` rises by one, so that there cannot be more than this up to `seq`.
      const limit = Math.min(PAGE, seq - after)
      const commands = (await outbox.pending(clusterId, { after, limit })).filter(command => command.seq <= seq)
      all.push(...commands.map(({ job, ...command }) => command))
      after = commands.length < limit ? seq : commands.at(-1)!.seq
    }
    return all
  }

  async function hear (clusterId: ClusterId, words: Word[]): Promise<Array<ReportOutcome | undefined>> {
    const acks = words.flatMap(word => 'ack' in word ? word.ack : [])
    const { acked, last } = acks.length > 0 ? await outbox.position(clusterId) : { acked: 0, last: 0 }
    const upTo = Math.max(acked, ...acks.filter(seq => seq <= last))
    const commands = await waiting(clusterId, acked, upTo)
    const said = new Map<Word, Report>()
    let from = acked
    for (const word of words) {
      if (!('ack' in word)) said.set(word, word)
      else if (word.ack <= last) {
        const before = from
        from = Math.max(from, word.ack)
        said.set(word, { acknowledged: commands.filter(({ seq }) => seq > before && seq <= from) })
      }
    }
    const outcomes = await reports.take(clusterId, [...said.values()])
    // The jobs first: a crash in between repeats a step that changes nothing the second time.
    const open = new Set(outcomes.flatMap(outcome => 'error' in outcome ? outcome.open.map(({ seq }) => seq) : []))
    const settled = Math.min(upTo, ...[...open].map(seq => seq - 1))
    if (settled > acked) await outbox.ack(clusterId, settled)
    // Those behind one that cannot be settled do not wait for it.
    for (const { seq } of open.size > 0 ? commands : []) {
      if (seq > settled && seq <= upTo && !open.has(seq)) await outbox.drop(clusterId, seq)
    }
    const next = outcomes.values()
    return words.map(word => said.has(word) ? next.next().value : undefined)
  }

  return {
    async start (clusterId, lastSeq) {
      const { acked, last } = await outbox.position(clusterId)
      const resumed = lastSeq !== undefined && acked <= lastSeq && lastSeq <= last
      const [heard] = resumed ? await hear(clusterId, [{ ack: lastSeq }]) : []
      // What could not be settled comes again.
      const isSettled = resumed && !(heard && 'error' in heard)
      const next = await oldest(clusterId, isSettled ? lastSeq : acked)
      const isUnknown = !resumed && (acked > 0 || (lastSeq ?? 0) > last)
      return {
        resumed,
        nextSeq: next?.seq ?? last + 1,
        desired: isUnknown ? (await reports.desiredOn(clusterId))?.map(job => jobForCluster(job, clusterId)) : undefined
      }
    },

    hear,

    async take (clusterId, command) {
      const [outcome] = await reports.take(clusterId, [{ acknowledged: [command] }])
      if (outcome && 'error' in outcome) throw outcome.error
      const first = await oldest(clusterId, 0)
      // The oldest one moves the place from which a channel would go on.
      if (first?.seq === command.seq) await outbox.ack(clusterId, command.seq)
      else await outbox.drop(clusterId, command.seq)
    },

    async refuse (clusterId, seq, error) {
      const command = await oldest(clusterId, seq - 1)
      if (command?.seq !== seq) return false
      await reports.refused(clusterId, command, error)
      await outbox.drop(clusterId, seq)
      return true
    }
  }
}
