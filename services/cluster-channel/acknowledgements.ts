import type { Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import { jobWithPlainId } from '../../schemas/job-document.js'
import type { OutboxStore } from '../../stores/store.js'
import type { ClusterReports } from '../job-lifecycle/operations/cluster-reports.js'

/** Where a session goes on in the outbox of its cluster. */
export interface Start {
  /** The cluster goes on from its `last_seq`. */
  resumed: boolean
  /** `seq` of the first command that follows. */
  nextSeq: number
  /** The whole desired state, when what the cluster has cannot be known and the past cannot be sent again. */
  desired: Array<Record<string, unknown>> | undefined
}

/** Settles commands, for the jobs and in the outbox, by what clusters answer. */
export interface Acknowledgements {
  /** Takes the `last_seq` of a registration as an acknowledgement if it can be one, and says where to go on. */
  start (clusterId: ClusterId, lastSeq: number | undefined): Promise<Start>
  /** Everything up to `seq` is durably taken. False for a `seq` that was never given out. */
  acknowledge (clusterId: ClusterId, seq: number): Promise<boolean>
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

  /** The jobs first: a crash in between repeats a step that changes nothing the second time. */
  async function settle (clusterId: ClusterId, acked: number, seq: number): Promise<void> {
    for (let after = acked; after < seq;) {
      // `seq` rises by one, so that there cannot be more than this up to `seq`.
      const limit = Math.min(PAGE, seq - after)
      const commands = (await outbox.pending(clusterId, { after, limit })).filter(command => command.seq <= seq)
      await reports.acknowledged(clusterId, commands)
      after = commands.length < limit ? seq : commands.at(-1)!.seq
    }
    await outbox.ack(clusterId, seq)
  }

  return {
    async start (clusterId, lastSeq) {
      const { acked, last } = await outbox.position(clusterId)
      const resumed = lastSeq !== undefined && acked <= lastSeq && lastSeq <= last
      if (resumed) await settle(clusterId, acked, lastSeq)
      const next = await oldest(clusterId, resumed ? lastSeq : acked)
      const isUnknown = !resumed && (acked > 0 || (lastSeq ?? 0) > last)
      return {
        resumed,
        nextSeq: next?.seq ?? last + 1,
        desired: isUnknown ? (await reports.desiredOn(clusterId))?.map(jobWithPlainId) : undefined
      }
    },

    async acknowledge (clusterId, seq) {
      const { acked, last } = await outbox.position(clusterId)
      if (seq > last) return false
      if (seq > acked) await settle(clusterId, acked, seq)
      return true
    },

    async take (clusterId, command) {
      await reports.acknowledged(clusterId, [command])
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
