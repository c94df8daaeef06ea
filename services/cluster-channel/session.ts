import type { WebSocket } from 'ws'
import type { FastifyBaseLogger } from 'fastify'
import { PROTOCOL_VERSION } from '../../schemas/channel.js'
import type { Cluster, ClusterId, ClusterRegistration } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import type { OutboxStore } from '../../stores/store.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import type { ReportOutcome } from '../job-lifecycle/operations/cluster-reports.js'
import { addressComplaint } from './address-complaint.js'
import { CLOSE } from './close-codes.js'
import { MAX_BACKLOG_BYTES, startDelivery, type Delivery } from './delivery.js'
import { complaintOf, isWord, readFrame, toWord, type ClusterFrame, type Complaint, type WordFrame } from './frames.js'
import { openFrameQueue, type Received } from './frame-queue.js'
import { nameHolder, type NameHolder } from './name-in-use.js'
import { answersPing, startPings } from './pings.js'
import type { Session, Sessions } from './sessions.js'
import type { Acknowledgements } from './acknowledgements.js'

/** What a session needs of the rest of the server. */
export interface SessionContext {
  registry: ClusterRegistry
  outbox: OutboxStore
  acknowledgements: Acknowledgements
  sessions: Sessions
  /** Bytes that a frame of the cluster may have. */
  mostBytes (clusterId: ClusterId): Promise<number>
  /** Why a cluster manager may not be called at this address, if it may not. */
  addressRefusal (address: string): Promise<string | undefined>
  /** Nothing is pushed to the cluster over HTTP any more, once it resolves. */
  leaveToChannel (clusterId: ClusterId): Promise<void>
  /** Milliseconds until `cs1` must have come. */
  registrationTimeoutMs: number
  heartbeatIntervalS: number
  pingIntervalMs: number
  resendMs: number
}

/** Who is at the other end of a socket. */
export interface Peer {
  /** Its IP address, as the connection has it. */
  address: string
  log: FastifyBaseLogger
}

/** Bad frames in a row that end a registered session; before registration one is enough. */
const MAX_BAD_FRAMES = 20

/** Speaks the raw WebSocket protocol of contract section 5 with one cluster, until the socket closes. */
export function startSession (socket: WebSocket, peer: Peer, context: SessionContext): void {
  const { registry, acknowledgements, sessions } = context
  let { log } = peer
  let cluster: Cluster | undefined
  let delivery: Delivery | undefined
  let over = false
  let badFrames = 0

  // Before anything is awaited: a frame may come at once.
  const frameQueue = openFrameQueue(socket, {
    take,
    overflow: () =>
      end(CLOSE.tooManyFrames, {
        code: 'too_many_frames',
        message: 'more frames came at once than can wait for their turn'
      })
  })
  const stopPings = startPings(socket, context.pingIntervalMs, {
    onPong: signOfLife,
    onSilence: () => log.info('two pings without a pong: the connection is cut')
  })
  const patience = setTimeout(
    () =>
      end(CLOSE.registrationTimeout, {
        code: 'registration_timeout',
        message: `expected cs1 within ${context.registrationTimeoutMs / 1000} s`
      }),
    context.registrationTimeoutMs
  )

  const session: Session = {
    get clusterId () {
      return cluster?.id
    },
    get isOpen () {
      return socket.readyState === socket.OPEN
    },
    wake: () => delivery?.wake(),
    answers: withinMs => answersPing(socket, withinMs),
    tell: complain,
    end,
    ended: new Promise(resolve =>
      socket.once('close', code => {
        stop()
        log[cluster ? 'info' : 'debug']({ code }, 'the channel closed')
        // What came before the close still counts, unless a newer session takes over.
        resolve(frameQueue.idle().then(() => delivery?.stop()))
      })
    )
  }
  sessions.add(session)
  send('sc1', { 'Hello-Cluster_Manager': 'please send your cluster info', protocol: PROTOCOL_VERSION })

  /** What comes after the close goes nowhere. */
  function send (event: string, data: unknown): void {
    socket.send(JSON.stringify({ event, data }), () => delivery?.flushed())
  }

  function complain (complaint: Complaint): void {
    log.info({ code: complaint.code, event: complaint.event }, 'a cluster got an error')
    // To a peer that sends but does not read, this must not pile up.
    if (socket.bufferedAmount <= MAX_BACKLOG_BYTES) send('error', complaint)
  }

  /** What frames in a row say of jobs is taken together; any other frame is taken alone. */
  async function take (texts: Received[]): Promise<void> {
    let words: WordFrame[] = []
    for (const text of texts) {
      const frame = await readFrame(text, async () => cluster ? await context.mostBytes(cluster.id) : 0)
      if (cluster && isWord(frame)) {
        badFrames = 0
        words.push(frame)
        continue
      }
      await takeWords(words)
      words = []
      if (over) return
      if ('code' in frame) refuseFrame(frame)
      else await takeAlone(frame)
    }
    await takeWords(words)
  }

  async function takeAlone (frame: ClusterFrame): Promise<void> {
    badFrames = 0
    try {
      await sessions.confirm()
      if (!over) await handle(frame)
    } catch (err) {
      tellFailure(err, frame.event)
    }
  }

  async function takeWords (frames: WordFrame[]): Promise<void> {
    if (frames.length === 0 || !cluster || over) return
    try {
      await sessions.confirm()
      if (over) return
      const outcomes = await acknowledgements.hear(cluster.id, frames.map(toWord))
      for (const [index, frame] of frames.entries()) tellOutcome(frame, outcomes[index])
    } catch (err) {
      // None of them is known to be taken.
      for (const { event } of frames) tellFailure(err, event)
    }
  }

  function tellOutcome (frame: WordFrame, outcome: ReportOutcome | undefined): void {
    const { event } = frame
    if (outcome && 'error' in outcome) tellFailure(outcome.error, event)
    else if (event === 'ack') {
      const { seq } = frame.data
      if (outcome) delivery?.settled(seq)
      else complain({ code: 'seq_unknown', message: `data.seq: ${seq} was never given out`, event })
    } else if (outcome && outcome.warnings.length > 0) {
      complain({ code: 'heartbeat_entry_invalid', message: outcome.warnings.join('; '), event })
    }
  }

  function refuseFrame (complaint: Complaint): void {
    if (!cluster) return end(CLOSE.notRegistered, complaint)
    complain(complaint)
    if (++badFrames >= MAX_BAD_FRAMES) {
      end(CLOSE.badFrames, { code: 'too_many_bad_frames', message: `${MAX_BAD_FRAMES} bad frames came in a row` })
    }
  }

  async function handle (frame: ClusterFrame): Promise<void> {
    if (frame.event === 'cs1') return await register(frame.data)
    if (!cluster) {
      return end(CLOSE.notRegistered, {
        code: 'not_registered',
        message: `expected cs1 first, got ${frame.event}`,
        event: frame.event
      })
    }
    const { id } = cluster
    switch (frame.event) {
      case 'nodes':
        if ('count' in frame.data) await registry.setNodes(id, frame.data.count)
        else await registry.addNodes(id, frame.data.delta)
        return
      case 'nack': {
        const { seq, error } = frame.data
        if (await acknowledgements.refuse(id, seq, error)) delivery?.dropped(seq)
        else {
          complain({
            code: 'seq_unknown',
            message: `data.seq: no command ${seq} waits for an answer`,
            event: 'nack'
          })
        }
      }
    }
  }

  async function register (registration: ClusterRegistration): Promise<void> {
    if (cluster && cluster.cluster_name !== registration.cluster_name) {
      return end(CLOSE.alreadyRegistered, {
        code: 'already_registered',
        message: `data.cluster_name: expected ${cluster.cluster_name}, whose channel this is`,
        event: 'cs1'
      })
    }
    if (socket.bufferedAmount > MAX_BACKLOG_BYTES) {
      return end(CLOSE.tooManyFrames, {
        code: 'too_many_frames',
        message: 'cs1 came again before the answer to the last one was read',
        event: 'cs1'
      })
    }
    const complaint = await addressComplaint(context, registration, peer)
    if (complaint) return end(CLOSE.notRegistered, complaint)
    const holder = cluster ? undefined : await nameHolder(context, registration, context.registrationTimeoutMs)
    if (!session.isOpen) return
    if (holder && !holder.isSame) return refuseName(holder)
    if (holder) await registry.sessionReplaced(holder.cluster, peer.address)
    const known = await registry.register(registration, peer.address, 'channel')
    if (!session.isOpen) return
    await delivery?.stop()
    cluster = known
    log = peer.log.child({ cluster: known.cluster_name, cluster_id: known.id })
    await sessions.claim(known.id, session)
    await context.leaveToChannel(known.id)
    const { resumed, nextSeq, desired } = await acknowledgements.start(known.id, registration.last_seq)
    if (!session.isOpen) return
    clearTimeout(patience)
    send('sc2', { id: known.id, heartbeat_interval_s: context.heartbeatIntervalS, resumed, next_seq: nextSeq })
    if (desired) send('resync', { next_seq: nextSeq, jobs: desired })
    log.info({ resumed, next_seq: nextSeq }, 'a cluster registered')
    delivery = startDelivery({
      clusterId: known.id,
      after: nextSeq - 1,
      outbox: context.outbox,
      port: {
        send: ({ removed_at: removedAt, ...command }) => send('command', command),
        backlog: () => socket.bufferedAmount
      },
      resendMs: context.resendMs,
      log
    })
  }

  /** Another cluster is connected under this name, and stays. */
  function refuseName ({ cluster: { id, cluster_name: name }, session: holder }: NameHolder): void {
    log.warn({ cluster: name, cluster_id: id, address: peer.address }, 'the name of a cluster is in use')
    holder.tell({
      code: 'cluster_name_in_use',
      message: `another cluster, at ${peer.address}, tried to register as ${name} and was refused`
    })
    end(CLOSE.nameInUse, {
      code: 'cluster_name_in_use',
      message: `data.cluster_name: ${name} is connected, and by data.last_seq it is another cluster`,
      event: 'cs1'
    })
  }

  function tellFailure (err: unknown, event: string): void {
    if (over) return
    if (err instanceof ApiError && err.code === 'cluster_not_found') {
      return end(CLOSE.removed, {
        code: 'cluster_removed',
        message: 'this cluster was deleted here; register again to come back',
        event
      })
    }
    if (!(err instanceof ApiError) || err.status >= 500) log.error({ err, event }, 'a frame could not be handled')
    complain(complaintOf(err, event))
  }

  function signOfLife (): void {
    if (cluster && !over) {
      registry.touch(cluster.id).catch(err => log.error({ err }, 'a sign of life could not be stored'))
    }
  }

  function end (closeCode: number, complaint: Complaint): void {
    if (over) return
    complain(complaint)
    over = true
    stop()
    frameQueue.drop()
    socket.close(closeCode, complaint.code)
  }

  /** Ends the timers. */
  function stop (): void {
    clearTimeout(patience)
    stopPings()
    delivery?.stop()
  }
}
