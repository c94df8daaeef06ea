import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Agent, buildConnector, WebSocket } from 'undici'
import type { clusterEvents, Command } from '../schemas/channel.js'
import type { ClusterRegistration } from '../schemas/cluster.js'
import { readServerFrame, type Registered, type Resync, type ServerFrame } from './server-frames.js'

export interface SessionEvents {
  registered: [Registered]
  command: [Command]
  resync: [Resync]
  /** The connection ended or failed. A new one follows, unless the session was ended here. */
  lost: [reason: string]
  /** The System Manager complained, or broke the contract. */
  problem: [text: string]
}

/** Milliseconds to wait before a new connection: a random part of a span that doubles with each failure. */
export interface Backoff {
  firstMs: number
  longestMs: number
}

export interface SessionOptions {
  url: string
  /** The data of `cs1`. Called for each connection, since `last_seq` changes. */
  present (): ClusterRegistration
  backoff: Backoff
}

/**
 * The raw WebSocket channel of a cluster (contract section 5): registers, and registers again after each loss of the
 * connection.
 */
export interface Session {
  events: EventEmitter<SessionEvents>
  readonly registered: boolean
  /** Sends an event. False without a registered connection: nothing was sent. */
  send (event: Exclude<keyof typeof clusterEvents, 'cs1'>, data: object): boolean
  /** Loses the connection without a close frame, as in a broken network. A new one follows. */
  drop (): void
  /** Ends the session for good: with a close frame, or `abruptly` like a killed process. */
  end (how: 'gracefully' | 'abruptly'): Promise<void>
}

/** Milliseconds to connect and register, after which the connection is given up. */
const HANDSHAKE_MS = 10_000
/** Milliseconds that the peer has to answer a close frame. */
const CLOSE_MS = 1000

export function openSession ({ url, present, backoff }: SessionOptions): Session {
  const events = new EventEmitter<SessionEvents>()
  const wire = keepSocket()
  let channel: WebSocket | undefined
  let registered = false
  let ended = false
  let failures = 0
  let retry: NodeJS.Timeout | undefined

  function connect () {
    const socket = channel = new WebSocket(url, { dispatcher: wire.agent })
    let cause = ''
    const deadline = setTimeout(() => {
      cause = `not registered within ${HANDSHAKE_MS / 1000} s`
      socket.close()
      wire.destroy()
    }, HANDSHAKE_MS)

    socket.addEventListener('message', ({ data }) => {
      const frame = readServerFrame(data)
      if (typeof frame === 'string') {
        events.emit('problem', frame)
        return
      }
      if (frame.event === 'sc2') clearTimeout(deadline)
      // Between our close frame and its answer the peer may still send; such frames are ignored.
      if (!ended) receive(socket, frame)
    })
    socket.addEventListener('close', ({ code, reason }) => {
      clearTimeout(deadline)
      channel = undefined
      registered = false
      if (!ended) retry = setTimeout(connect, delay(code))
      events.emit('lost', reason || cause || wire.takeFailure() || `closed with ${code}`)
    })
  }

  function receive (socket: WebSocket, frame: ServerFrame) {
    if (frame.event === 'sc1') {
      socket.send(JSON.stringify({ event: 'cs1', data: present() }))
    } else if (frame.event === 'sc2') {
      registered = true
      failures = 0
      events.emit('registered', frame.data)
    } else if (frame.event === 'error') {
      events.emit('problem', `${frame.data.code}: ${frame.data.message}`)
    } else if (!registered) {
      events.emit('problem', `${frame.event} came before sc2`)
    } else if (frame.event === 'command') {
      events.emit('command', frame.data)
    } else {
      events.emit('resync', frame.data)
    }
  }

  function delay (closeCode: number): number {
    // 4000-4999: the same registration would be refused again, or a newer session took over, so wait longest.
    const fatal = closeCode >= 4000 && closeCode <= 4999
    const span = fatal ? backoff.longestMs : Math.min(backoff.longestMs, backoff.firstMs * 2 ** failures)
    failures++
    return span * (0.5 + Math.random() / 2)
  }

  connect()

  return {
    events,
    get registered () {
      return registered
    },

    send (event, data) {
      if (!registered || channel?.readyState !== WebSocket.OPEN) return false
      channel.send(JSON.stringify({ event, data }))
      return true
    },

    drop: wire.destroy,

    async end (how) {
      ended = true
      registered = false
      clearTimeout(retry)
      const socket = channel
      if (socket) {
        // Not for a connection that is still being opened: its close event may take long.
        const isOpening = socket.readyState === WebSocket.CONNECTING
        const closed = new Promise(resolve => socket.addEventListener('close', resolve))
        if (how === 'abruptly') wire.destroy()
        else socket.close(1000)
        const impatience = setTimeout(wire.destroy, CLOSE_MS)
        if (!isOpening) await closed
        clearTimeout(impatience)
      }
      await wire.agent.destroy()
    }
  }
}

/**
 * A dispatcher for one WebSocket at a time. It gives access to what WebSocket hides: the TCP connection, to destroy it
 * without a close frame, and the reason why a connection failed.
 */
function keepSocket () {
  let socket: Socket | null = null
  let failure = ''
  const connect = buildConnector({ timeout: HANDSHAKE_MS })
  const agent = new Agent({
    connect: (options, done) =>
      connect(options, (...result) => {
        socket = result[1]
        failure = result[0] ? describe(result[0]) : ''
        done(...result)
      })
  })
  return {
    agent,
    destroy: () => {
      socket?.destroy()
    },
    /** Why the last connection failed, or ''. Returns each reason once. */
    takeFailure () {
      const taken = failure
      failure = ''
      return taken
    }
  }
}

/** The message of an error. If a name has several addresses, each has an error of its own: the first one counts. */
function describe (error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [error]
  return first instanceof Error ? first.message : String(first)
}
