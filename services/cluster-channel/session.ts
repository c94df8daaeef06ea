import type { FastifyBaseLogger } from 'fastify'
import type { RawData, WebSocket } from 'ws'
import { PROTOCOL_VERSION, type Command } from '../../schemas/channel.js'
import type { Cluster, ClusterId, ClusterRegistration } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { jobWithPlainId } from '../../schemas/job-document.js'
import type { OutboxStore } from '../../stores/store.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import type { JobLifecycle } from '../job-lifecycle/lifecycle.js'
import { startDelivery, type Delivery } from './delivery.js'
import { FrameError, readFrame, type ClusterFrame } from './frames.js'

/** What a session needs of the rest of the server. */
export interface SessionContext {
  registry: ClusterRegistry
  lifecycle: JobLifecycle
  outbox: OutboxStore
  /** Told before the answer to a registration: the older session of the cluster ends here. */
  onRegistered (clusterId: ClusterId, session: Session): void
  /** Told once, when the socket is closed. */
  onClosed (clusterId: ClusterId, session: Session): void
  heartbeatIntervalS: number
  pingIntervalMs: number
  resendMs: number
  log: FastifyBaseLogger
}

export interface Session {
  /** There may be commands in the outbox. */
  wake (): void
  /** Tells why and closes. */
  end (closeCode: number, code: string, message: string): void
}

/** Close codes of our own (RFC 6455, section 7.4.2 leaves 4000 to 4999 to applications). */
export const CLOSE = {
  notRegistered: 4000,
  replaced: 4001,
  alreadyRegistered: 4002,
  badFrames: 4003,
  removed: 4004,
  registrationTimeout: 4008,
  tooManyFrames: 4013
} as const

const REGISTRATION_TIMEOUT_MS = 10_000
/** Frames that may wait for their turn; a cluster that sends faster than it is served has lost its mind. */
const MAX_QUEUED_FRAMES = 1000
/** Bad frames in a row that end a session. */
const MAX_BAD_FRAMES = 20
/** Commands settled at a time. */
const ACK_PAGE = 256

/** Speaks the raw WebSocket protocol of contract section 5 with one cluster, until the socket closes. */
export function startSession (socket: WebSocket, remoteAddress: string, context: SessionContext): Session {
  const { registry, lifecycle, outbox } = context
  let { log } = context
  let cluster: Cluster | undefined
  let delivery: Delivery | undefined
  let ended = false
  let queued = 0
  let badFrames = 0
  let turn = Promise.resolve()
  let unansweredPings = 0

  const session: Session = { wake: () => delivery?.wake(), end }

  // Before anything is awaited: a frame may come at once.
  socket.on('message', onMessage)
  socket.on('pong', onPong)
  socket.on('close', onClose)
  send('sc1', { 'Hello-Cluster_Manager': 'please send your cluster info', protocol: PROTOCOL_VERSION })
  const registrationTimer = setTimeout(() => end(CLOSE.registrationTimeout, 'registration_timeout', `no cs1 within ${REGISTRATION_TIMEOUT_MS / 1000} s`), REGISTRATION_TIMEOUT_MS)
  const pingTimer = setInterval(ping, context.pingIntervalMs)

  function send (event: string, data: unknown): void {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ event, data }))
  }

  function onMessage (raw: RawData, isBinary: boolean): void {
    if (ended) return
    if (++queued > MAX_QUEUED_FRAMES) {
      end(CLOSE.tooManyFrames, 'too_many_frames', `more than ${MAX_QUEUED_FRAMES} frames wait for their turn`)
      return
    }
    // One after the other, in order of arrival: an ack must not overtake the heartbeat before it.
    turn = turn.then(() => take(raw, isBinary)).finally(() => { queued-- })
  }

  async function take (raw: RawData, isBinary: boolean): Promise<void> {
    if (ended) return
    let event: string | undefined
    try {
      if (isBinary) throw new FrameError('frame_malformed', 'expected a text frame, got a binary one')
      const frame = readFrame(String(raw))
      event = frame.event
      await handle(frame)
      badFrames = 0
    } catch (err) {
      refuse(err, event)
    }
  }

  async function handle (frame: ClusterFrame): Promise<void> {
    if (frame.event === 'cs1') {
      await register(frame.data)
      return
    }
    if (!cluster || !delivery) throw new FrameError('not_registered', `expected cs1 first, got ${frame.event}`, frame.event)
    const { id } = cluster
    switch (frame.event) {
      case 'information': {
        const { warnings } = await lifecycle.heartbeat(id, frame.data)
        if (warnings.length > 0) send('error', { code: 'heartbeat_entry_invalid', message: warnings.join('; '), event: 'information' })
        break
      }
      case 'nodes':
        if ('count' in frame.data) await registry.setNodes(id, frame.data.count)
        else await registry.addNodes(id, frame.data.delta)
        break
      case 'result':
        await lifecycle.result(frame.data, id)
        break
      case 'ack':
        await acknowledge(id, frame.data.seq)
        delivery.settled(frame.data.seq)
        break
      case 'nack':
        await refuseCommand(id, frame.data.seq, frame.data.error)
        delivery.dropped(frame.data.seq)
        break
    }
  }

  async function register (registration: ClusterRegistration): Promise<void> {
    if (cluster && cluster.cluster_name !== registration.cluster_name) {
      end(CLOSE.alreadyRegistered, 'already_registered', `this channel belongs to ${cluster.cluster_name}`)
      return
    }
    const known = await registry.register(registration, remoteAddress)
    if (ended) return
    clearTimeout(registrationTimer)
    delivery?.stop()
    cluster = known
    log = context.log.child({ cluster: known.cluster_name, cluster_id: known.id })
    context.onRegistered(known.id, session)

    const { last_seq: lastSeq } = registration
    const before = await outbox.position(known.id)
    const resumed = lastSeq !== undefined && before.acked <= lastSeq && lastSeq <= before.last
    if (resumed) await acknowledge(known.id, lastSeq)
    const { acked, last } = resumed ? await outbox.position(known.id) : before
    const [next] = await outbox.pending(known.id, { after: acked, limit: 1 })
    const nextSeq = next?.seq ?? last + 1
    send('sc2', { id: known.id, heartbeat_interval_s: context.heartbeatIntervalS, resumed, next_seq: nextSeq })
    // What the cluster has cannot be known, and what was acknowledged cannot be sent again: tell it all there should be.
    if (!resumed && (acked > 0 || (lastSeq ?? 0) > last)) {
      send('resync', { next_seq: nextSeq, jobs: (await lifecycle.desiredOn(known.id)).map(jobWithPlainId) })
    }
    log.info({ resumed }, 'a cluster registered')
    if (ended) return
    delivery = startDelivery({ clusterId: known.id, from: nextSeq - 1, socket, outbox, resendMs: context.resendMs, log })
  }

  /** The lifecycle first: a crash in between repeats a step that changes nothing the second time. */
  async function acknowledge (id: ClusterId, seq: number): Promise<void> {
    const { acked, last } = await outbox.position(id)
    if (seq > last) throw new FrameError('seq_unknown', `expected at most ${last}, got ${seq}`, 'ack')
    for (let after = acked; after < seq;) {
      const page = await outbox.pending(id, { after, limit: ACK_PAGE })
      const commands = page.filter(command => command.seq <= seq)
      await lifecycle.acknowledged(id, commands)
      after = commands.length === ACK_PAGE ? commands.at(-1)!.seq : seq
    }
    await outbox.ack(id, seq)
  }

  async function refuseCommand (id: ClusterId, seq: number, error: string): Promise<void> {
    const [command]: Array<Command | undefined> = await outbox.pending(id, { after: seq - 1, limit: 1 })
    if (command?.seq !== seq) throw new FrameError('seq_unknown', `no command ${seq} waits for an answer`, 'nack')
    await lifecycle.refused(id, command, error)
    await outbox.drop(id, seq)
  }

  function refuse (err: unknown, event: string | undefined): void {
    const known = err instanceof FrameError || err instanceof ApiError
    const code = known ? err.code : 'internal_error'
    const told = err instanceof FrameError ? err.event ?? event : event
    const message = known ? err.message : 'something went wrong here, it has been logged'
    if (known) log.info({ code, event: told }, 'a frame was refused')
    else log.error({ err, event: told }, 'a frame could not be handled')
    if (!cluster && (known || event === 'cs1')) {
      end(CLOSE.notRegistered, code, message, told)
    } else if (++badFrames >= MAX_BAD_FRAMES) {
      end(CLOSE.badFrames, code, `${message}; ${MAX_BAD_FRAMES} bad frames in a row`, told)
    } else {
      send('error', { code, message, ...(told !== undefined && { event: told }) })
    }
  }

  function ping (): void {
    if (unansweredPings >= 2) {
      log.info('two pings without a pong: the channel is dead')
      socket.terminate()
      return
    }
    unansweredPings++
    if (socket.readyState === socket.OPEN) socket.ping()
  }

  function onPong (): void {
    unansweredPings = 0
    if (!cluster || ended) return
    registry.touch(cluster.id).catch(err => log.error({ err }, 'a sign of life could not be stored'))
  }

  function end (closeCode: number, code: string, message: string, event?: string): void {
    if (ended) return
    send('error', { code, message, ...(event !== undefined && { event }) })
    release()
    socket.close(closeCode, code)
  }

  function release (): void {
    ended = true
    clearTimeout(registrationTimer)
    delivery?.stop()
  }

  function onClose (code: number): void {
    release()
    clearInterval(pingTimer)
    if (!cluster) return
    log.info({ code }, 'the channel of a cluster closed')
    context.onClosed(cluster.id, session)
  }

  return session
}
