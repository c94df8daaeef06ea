import type { FastifyBaseLogger } from 'fastify'
import type { Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { OutboxStore } from '../../stores/store.js'

/** The way to the cluster. */
export interface Port {
  send (command: Command): void
  /** Bytes that wait to be taken by the network. */
  backlog (): number
}

export interface Delivery {
  /** There may be new commands. */
  wake (): void
  /** The network took something. */
  flushed (): void
  /** Commands up to `seq` are settled. */
  settled (seq: number): void
  /** One command is settled. */
  dropped (seq: number): void
  /** Resolves once nothing is read any more; nothing is sent from now on. */
  stop (): Promise<void>
}

/** Most commands sent and not yet settled. */
const MAX_IN_FLIGHT = 64

/** With more bytes than this waiting, no further command is sent until the network has taken some. */
export const MAX_BACKLOG_BYTES = 1024 * 1024

/**
 * Sends the outbox of one cluster in order of `seq`, from behind `after` on. When the oldest command that was sent is
 * not settled within `resendMs`, all that are not settled are sent again in order (contract section 5).
 */
export function startDelivery ({ clusterId, after, outbox, port, resendMs, log }: {
  clusterId: ClusterId
  after: number
  outbox: OutboxStore
  port: Port
  resendMs: number
  log: FastifyBaseLogger
}): Delivery {
  /** Sent and not settled: seq and when it was sent, in order. */
  const inFlight = new Map<number, number>()
  let sent = after
  let isWanted = false
  let isStalled = false
  let isStopped = false
  let running = Promise.resolve()
  let isRunning = false
  let resendTimer: NodeJS.Timeout | undefined

  function wake (): void {
    isWanted = true
    if (isRunning) return
    isRunning = true
    running = run()
  }

  /** One pass at a time; a wake meanwhile causes the next. */
  async function run (): Promise<void> {
    while (isWanted) {
      isWanted = false
      try {
        await sendPending()
      } catch (err) {
        // The next sweep wakes it again.
        if (!isStopped) log.error({ err }, 'commands could not be read, it is tried again')
      }
    }
    isRunning = false
  }

  async function sendPending (): Promise<void> {
    const window = MAX_IN_FLIGHT - inFlight.size
    if (isStopped || window <= 0 || isBacklogged()) return
    const from = sent
    const commands = await outbox.pending(clusterId, { after: from, limit: window })
    // When an ack or the resend timer has moved the place, what was read is not what follows. Both have woken it.
    if (isStopped || sent !== from) return
    for (const command of commands) {
      if (isBacklogged()) break
      port.send(command)
      sent = command.seq
      inFlight.set(command.seq, performance.now())
    }
    watchOldest()
  }

  function isBacklogged (): boolean {
    isStalled = port.backlog() > MAX_BACKLOG_BYTES
    return isStalled
  }

  function watchOldest (): void {
    clearTimeout(resendTimer)
    const [oldest] = inFlight
    if (oldest === undefined || isStopped) return
    const [seq, sentAt] = oldest
    resendTimer = setTimeout(resend, Math.max(0, sentAt + resendMs - performance.now()), seq)
  }

  /** Begins anew with this command, the oldest that is not settled. */
  function resend (seq: number): void {
    // Still on its way out of here: a repetition would only queue up behind it.
    if (port.backlog() > 0) {
      resendTimer = setTimeout(resend, resendMs, seq)
      return
    }
    sent = seq - 1
    inFlight.clear()
    wake()
  }

  wake()

  return {
    wake,
    flushed () {
      if (isStalled) wake()
    },
    settled (seq) {
      for (const known of inFlight.keys()) {
        if (known > seq) break
        inFlight.delete(known)
      }
      sent = Math.max(sent, seq)
      watchOldest()
      wake()
    },
    dropped (seq) {
      inFlight.delete(seq)
      watchOldest()
      wake()
    },
    stop () {
      isStopped = true
      clearTimeout(resendTimer)
      return running
    }
  }
}
