import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from '../schemas/errors.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent this request, for changes that it asks for. */
    requester: Requester
    arrival: Arrival
  }
  interface FastifyContextConfig {
    /** A GET of the contract that changes something. Requests with other methods always may. */
    changes?: boolean
  }
}

/** Who asks for a change. */
export interface Requester {
  /** How events name the cause of the change: `user`. */
  cause: string
  /**
   * To await just before a change is stored. Throws `request_expired` where the request waited for longer than the
   * lease of this process, or its client has gone: it was repeated elsewhere, perhaps, and things have moved on.
   */
  confirm (): Promise<void>
}

/** Milliseconds between the beats that show whether this process runs. */
const BEAT_MS = 500
/** Milliseconds without a beat that are no busy moment. */
const LEAST_GAP_MS = 2 * BEAT_MS
/** Milliseconds after a suspension in which what was sent meanwhile is read. */
const BACKLOG_MS = 1000
/** Milliseconds that a change waits for the lease of this process: clients hear of an outage within 2 s. */
const LEASE_WAIT_MS = 1500
/** Milliseconds after which a client may have lost its patience. */
const PATIENCE_MS = 250
/** Milliseconds that a client which sends nothing more has to refuse an interim answer: the round trip of most. */
const PROBE_MS = 100

/** What a request shows about when it was sent. */
export interface Arrival {
  /** Monotonic milliseconds. */
  at: number
  /** It may have been sent while this process was suspended: so that its client may have gone, or for too long. */
  isLate: boolean
  isOld: boolean
  /** Its answer. */
  reply: FastifyReply
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Requests that are too old change nothing. A process that was suspended finds what was sent to it meanwhile in its
 * sockets, and cannot tell for how long it lay there.
 */
export default fp(async function requester (app) {
  const { processLease } = app.leases
  const leaseMs = app.config.LEASE_S * 1000
  let lastBeat = performance.now()
  let lateUntil = 0
  let oldUntil = 0

  /** Whether this process was suspended a moment ago, and whether for too long. */
  function beat (): Pick<Arrival, 'isLate' | 'isOld'> {
    const now = performance.now()
    const gap = now - lastBeat
    // Another process takes over when the lease ends, and it was renewed some time before the suspension.
    if (gap > LEAST_GAP_MS) lateUntil = now + BACKLOG_MS
    if (gap > leaseMs || (gap > LEAST_GAP_MS && processLease.token === undefined)) oldUntil = now + BACKLOG_MS
    lastBeat = now
    return { isLate: now < lateUntil, isOld: now < oldUntil }
  }
  const beats = setInterval(beat, BEAT_MS).unref()
  app.addHook('onClose', async () => clearInterval(beats))

  async function leaseIsHeld (): Promise<void> {
    if (processLease.token !== undefined) return
    processLease.renew()
    try {
      await processLease.held(AbortSignal.timeout(LEASE_WAIT_MS))
    } catch (cause) {
      throw new ApiError('store_unavailable', undefined, { cause })
    }
  }

  async function checkAge ({ arrival: { at, isOld } }: FastifyRequest): Promise<void> {
    await leaseIsHeld()
    if (isOld || performance.now() - at > leaseMs) {
      throw new ApiError('request_expired', 'The request waited for too long, and nothing was changed', {
        hint: 'Look whether it is still wanted, and send it again'
      })
    }
  }

  async function checkClient (request: FastifyRequest): Promise<void> {
    // What its socket has to tell is read between the two.
    await setImmediate()
    await setImmediate()
    const { at, isLate } = request.arrival
    if (await isGone(request, isLate || performance.now() - at >= PATIENCE_MS)) {
      throw new ApiError('request_expired', 'The client has gone, and nothing was changed')
    }
  }

  // Node's HTTP server would close the other half as well, and the answer would be lost. Its types do not know it.
  Object.assign(app.server, { httpAllowHalfOpen: true })
  function requesterOf (request: FastifyRequest): Requester {
    let checked: Promise<void> | undefined
    return {
      cause: 'user',
      async confirm () {
        await (checked ??= checkClient(request))
        await checkAge(request)
      }
    }
  }

  app.decorateRequest('arrival', null!)
  app.decorateRequest('requester', {
    getter (this: FastifyRequest) {
      return requesterOf(this)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    request.arrival = { at: performance.now(), ...beat(), reply }
  })
  app.addHook('preHandler', async request => {
    const { method, routeOptions: { config } } = request
    if (!SAFE.has(method) || config.changes) await checkAge(request)
  })
}, { name: 'requester', dependencies: ['config', 'leases'] })

/**
 * A client that has closed its half of the connection may still read (RFC 9293, section 3.6). It gets an interim answer
 * (RFC 9110, section 15.2.1), which a client that has gone refuses.
 */
async function isGone (
  { raw: { socket, httpVersionMinor }, arrival: { reply } }: FastifyRequest,
  isDoubtful: boolean
): Promise<boolean> {
  if (socket.destroyed) return true
  if (!socket.readableEnded || httpVersionMinor === 0 || !isDoubtful) return false
  // The refusal of one write shows at the next: nothing more is read from this socket.
  reply.raw.writeContinue()
  await sleep(PROBE_MS)
  reply.raw.writeContinue()
  await setImmediate()
  return socket.destroyed
}
