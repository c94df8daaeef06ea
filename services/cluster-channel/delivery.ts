import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import type { Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { OutboxStore } from '../../stores/store.js'

/** Most commands sent and not yet settled. */
const WINDOW = 64

/** A socket with more bytes than this waiting gets no further commands until it has drained. */
const MAX_BUFFERED_BYTES = 1024 * 1024

/** Milliseconds until the next try when the store fails or the socket is full. */
const RETRY_MS = 200

export interface Delivery {
  /** There may be new commands, or room in the window. */
  wake (): void
  /** Commands up to `seq` are settled. */
  settled (seq: number): void
  /** One command is settled. */
  dropped (seq: number): void
  stop (): void
}

/**
 * Sends the outbox of one cluster over one socket, in order of `seq`, from after `from` on. What is not settled within
 * `resendMs` is sent again, all of it in order (contract section 5: "a command is sent again until acked").
 */
export function startDelivery ({ clusterId, from, socket, outbox, resendMs, log }: {
  clusterId: ClusterId
  from: number
  socket: WebSocket
  outbox: OutboxStore
  resendMs: number
  log: FastifyBaseLogger
}): Delivery {
  /** Sent and not settled: seq, and when it was sent; in order. */
  const inFlight = new Map<number, number>()
  let sent = from
  let running = false
  let wanted = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  function later (ms: number): void {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(pump, ms)
  }

  /** One round at a time; what is wanted meanwhile is done in the next. */
  function pump (): void {
    wanted = true
    if (running || stopped) return
    running = true
    wanted = false
    clearTimeout(timer)
    resendOverdue()
    sendPending().catch(err => {
      log.error({ err }, 'commands could not be read, it is tried again')
      later(RETRY_MS)
    }).finally(() => {
      running = false
      if (wanted) pump()
    })
  }

  /** Goes back to the oldest command in flight once it is overdue: order matters more than a repetition. */
  function resendOverdue (): void {
    const [oldest] = inFlight
    if (oldest === undefined || performance.now() - oldest[1] < resendMs) return
    sent = oldest[0] - 1
    inFlight.clear()
  }

  async function sendPending (): Promise<void> {
    const room = WINDOW - inFlight.size
    if (room > 0 && socket.bufferedAmount <= MAX_BUFFERED_BYTES) {
      const commands = await outbox.pending(clusterId, { after: sent, limit: room })
      if (stopped) return
      for (const command of commands) send(command)
      if (commands.length === room) wanted = true
    }
    const [oldest] = inFlight
    if (socket.bufferedAmount > MAX_BUFFERED_BYTES) later(RETRY_MS)
    else if (oldest) later(Math.max(1, oldest[1] + resendMs - performance.now()))
  }

  function send (command: Command): void {
    socket.send(JSON.stringify({ event: 'command', data: command }))
    sent = command.seq
    inFlight.set(command.seq, performance.now())
  }

  pump()
  return {
    wake: pump,
    settled (seq) {
      for (const known of inFlight.keys()) {
        if (known <= seq) inFlight.delete(known)
      }
      sent = Math.max(sent, seq)
      pump()
    },
    dropped (seq) {
      inFlight.delete(seq)
      pump()
    },
    stop () {
      stopped = true
      clearTimeout(timer)
    }
  }
}
