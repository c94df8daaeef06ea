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
  /** The connection ended or could not be made; a new one follows unless the session was ended here. */
  lost: [reason: string]
  /** The System Manager complained, or broke the contract. */
  problem: [text: string]
}

/** Waiting time before a new connection, in ms: a random part of a span that doubles with each failure. */
export interface Backoff {
  firstMs: number
  longestMs: number
}

export interface SessionOptions {
  url: string
  /** The data of `cs1`, asked for anew at each connection: `last_seq` moves. */
  present (): ClusterRegistration
  backoff: Backoff
}

/**
 * The raw WebSocket channel of a cluster (contract section 5): registers, and registers again whenever the connection
 * is lost.
 */
export interface Session {
  events: EventEmitter<SessionEvents>
  readonly registered: boolean
  /** False when there is no registered connection: nothing was sent. */
  send (event: Exclude<keyof typeof clusterEvents, 'cs1'>, data: object): boolean
  /** Loses the connection as a broken network would: no close frame. A new one follows. */
  drop (): void
  /** Ends the session for good; with a close frame, or `abruptly` as a killed process would. */
  end (how: 'gracefully' | 'abruptly'): Promise<void>
}

/** Milliseconds for connecting and being registered; a peer that takes longer is given up. */
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
      // Between our close frame and its answer the peer may still send; it is not ours to take any more.
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
    // 4000-4999 means that the very same would be refused again, or that a newer session took over: no hurry.
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
      if (channel) {
        const closed = new Promise(resolve => channel?.addEventListener('close', resolve))
        if (how === 'abruptly') wire.destroy()
        else channel.close(1000)
        const impatience = setTimeout(wire.destroy, CLOSE_MS)
        // Not for a connection that was only being made: its close event may be long in coming.
        if (channel.readyState !== WebSocket.CONNECTING) await closed
        clearTimeout(impatience)
      }
      await wire.agent.destroy()
    }
  }
}

/**
 * A dispatcher for one WebSocket at a time, with what WebSocket itself keeps to itself: the TCP connection, to destroy
 * it without the polite close, and why none could be made.
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
    /** Why the last connection could not be made, or ''; once. */
    takeFailure () {
      const taken = failure
      failure = ''
      return taken
    }
  }
}

/** Where a name has several addresses, the reason stands with each of them. */
function describe (error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [error]
  return first instanceof Error ? first.message : String(first)
}
