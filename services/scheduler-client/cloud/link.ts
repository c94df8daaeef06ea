import { EventEmitter } from 'node:events'
import {
  BrokenCircuitError,
  bulkhead,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  fullJitterGenerator,
  handleType,
  handleWhen,
  retry,
  wrap
} from 'cockatiel'
import { Pool } from 'undici'
import { call, SchedulerDown, SchedulerFault, SchedulerRefusal } from './call.js'

/** Questions on the wire at a time; the original takes one after the other anyway. */
const CONNECTIONS = 16

/** With this many questions on their way, further ones are left to a later pass. */
const MAX_ON_THE_WAY = 1024

/** Failures in a row after which the scheduler is not asked until it answers GET /status. */
const FAILURES_TO_OPEN = 5

/** Tries of one question after the first. */
const RETRIES = 2

/** Waits before those tries, ms, with full jitter, so that many questions do not come back at once. */
const BACKOFF = { initialDelay: 100, maxDelay: 2000, generator: fullJitterGenerator }

/** Milliseconds that a test may take: its route promises an answer within 2 s. */
const TEST_MS = 1500

export type BreakerState = 'closed' | 'half-open' | 'open'

interface LinkEvents {
  /** One attempt to ask has ended. */
  attempt: ['ok' | 'down' | 'refused']
  /** The breaker has opened: no questions are sent until it closes. */
  opened: []
  /** The breaker has closed: the scheduler answers again. */
  closed: []
}

/** Connection to the Cloud Scheduler (contract section 4): bounded, with retries, and a circuit breaker. */
export interface Link {
  events: EventEmitter<LinkEvents>
  /**
   * Posts a question; resolves when the scheduler has accepted it. Rejects with SchedulerDown or SchedulerRefusal.
   * @param optional A scheduler that is well may fail on it: a 500 is a refusal then, and the breaker ignores it.
   */
  ask (path: string, body: unknown, options?: { optional?: boolean }): Promise<void>
  /** Resolves when it answers, whatever the breaker and the queue are like. Rejects with SchedulerDown within 2 s. */
  test (): Promise<void>
  state (): BreakerState
  /** Why the breaker is open, for users. */
  lastFailure (): string
  /** True when too many questions are on their way for another one. */
  isFull (): boolean
  /** Drops what is on its way and closes the connections. */
  close (): Promise<void>
}

/**
 * @param origin http://host:port
 * @param timeoutMs For one attempt, from the connection to the end of the answer.
 * @param probeMs Between tries of GET /status while the breaker is open.
 * @param listening Resolves when this process can be reached. Questions wait for that: the scheduler calls back once.
 */
export function createLink ({ origin, timeoutMs, probeMs, listening }: {
  origin: string
  timeoutMs: number
  probeMs: number
  listening: Promise<void>
}): Link {
  const options = { connect: { timeout: timeoutMs }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs }
  const questions = new Pool(origin, { ...options, connections: CONNECTIONS })
  // Connections of their own, so that questions which hang do not hide that it answers.
  const tests = new Pool(origin, { ...options, connections: 2 })
  const events = new EventEmitter<LinkEvents>()
  const closing = new AbortController()

  const breaker = circuitBreaker(handleType(SchedulerDown), {
    breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    halfOpenAfter: probeMs
  })
  const retries = retry(handleWhen(err => err instanceof SchedulerDown && !(err instanceof SchedulerFault)), {
    maxAttempts: RETRIES,
    backoff: new ExponentialBackoff(BACKOFF)
  })
  const turns = bulkhead(CONNECTIONS, Infinity)
  const policy = wrap(turns, retries, breaker)

  let onTheWay = 0
  let lastFailure = ''
  let probeTimer: NodeJS.Timeout | undefined

  breaker.onBreak(reason => {
    if ('error' in reason) lastFailure = reason.error.message
    // By GET /status, so that one question which breaks the scheduler cannot keep the breaker open for the others.
    probeTimer = setTimeout(probe, probeMs + 1).unref()
    events.emit('opened')
  })
  breaker.onReset(() => events.emit('closed'))

  function probe (): void {
    breaker.execute(test).catch(err => {
      // Too early by the breaker's clock: no request was made.
      if (err instanceof BrokenCircuitError && !closing.signal.aborted) probeTimer = setTimeout(probe, probeMs).unref()
    })
  }

  async function test (): Promise<void> {
    try {
      await call(tests, { method: 'GET', path: '/status' }, Math.min(timeoutMs, TEST_MS))
    } catch (err) {
      // One that has no /status answers all the same.
      if (err instanceof SchedulerDown) throw err
    }
  }

  async function attempt (path: string, body: unknown, optional: boolean): Promise<void> {
    try {
      await call(questions, { method: 'POST', path, body }, timeoutMs)
      events.emit('attempt', 'ok')
    } catch (cause) {
      const err = optional && cause instanceof SchedulerFault ? new SchedulerRefusal(cause.message, { cause }) : cause
      events.emit('attempt', err instanceof SchedulerDown ? 'down' : 'refused')
      throw err
    }
  }

  return {
    events,

    async ask (path, body, { optional = false } = {}) {
      onTheWay++
      try {
        await listening
        await policy.execute(() => attempt(path, body, optional), closing.signal)
      } catch (err) {
        throw err instanceof BrokenCircuitError ? new SchedulerDown(lastFailure, { cause: err }) : err
      } finally {
        onTheWay--
      }
    },

    test,

    state () {
      switch (breaker.state) {
        case CircuitState.Closed:
          return 'closed'
        case CircuitState.HalfOpen:
          return 'half-open'
        default:
          return 'open'
      }
    },

    lastFailure: () => lastFailure,

    isFull: () => onTheWay >= MAX_ON_THE_WAY,

    async close () {
      closing.abort()
      clearTimeout(probeTimer)
      await Promise.all([questions.destroy(), tests.destroy()])
    }
  }
}
