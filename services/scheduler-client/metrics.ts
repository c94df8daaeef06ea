import { Counter, Gauge, type Registry } from 'prom-client'
import type { BreakerState, Link } from './cloud/link.js'
import type { Questions } from './cloud/questions.js'

const STATES: readonly BreakerState[] = ['closed', 'half-open', 'open']

/** Attempts to ask the Cloud Scheduler, questions it has not answered, and the state of the breaker. */
export function measureScheduler (metrics: Registry, link: Link, questions: Questions): void {
  const attempts = new Counter({
    name: 'edgeio_scheduler_requests_total',
    help: 'Attempts to ask the Cloud Scheduler, by result: ok, down, refused',
    labelNames: ['result'],
    registers: [metrics]
  })
  for (const result of ['ok', 'down', 'refused']) attempts.inc({ result }, 0)
  link.events.on('attempt', result => attempts.inc({ result }))

  const breaker = new Gauge({
    name: 'edgeio_scheduler_breaker_state',
    help: '1 for the present state of the circuit breaker to the Cloud Scheduler',
    labelNames: ['state'],
    registers: [metrics],
    collect () {
      for (const state of STATES) breaker.set({ state }, Number(state === link.state()))
    }
  })

  const pending = new Gauge({
    name: 'edgeio_scheduler_pending_questions',
    help: 'Questions that the Cloud Scheduler has accepted and not called back about',
    registers: [metrics],
    collect () {
      pending.set(questions.pending())
    }
  })
}
