import { Counter, Gauge, type Registry } from 'prom-client'
import type { BreakerState, Link } from './cloud/link.js'
import type { Questions } from './cloud/questions.js'

const STATES: readonly BreakerState[] = ['closed', 'half-open', 'open']

/** What the Cloud Scheduler is asked, how it answers, and whether it is asked at all. */
export function measureScheduler (metrics: Registry, link: Link, questions: Questions): void {
  const attempts = new Counter({
    name: 'scheduler_requests_total',
    help: 'Attempts to ask the Cloud Scheduler, by what came of them: ok, down, refused',
    labelNames: ['result'],
    registers: [metrics]
  })
  for (const result of ['ok', 'down', 'refused']) attempts.inc({ result }, 0)
  link.events.on('attempt', result => attempts.inc({ result }))

  const breaker = new Gauge({
    name: 'scheduler_breaker_state',
    help: '1 for the state that the circuit breaker to the Cloud Scheduler is in',
    labelNames: ['state'],
    registers: [metrics],
    collect () {
      for (const state of STATES) breaker.set({ state }, Number(state === link.state()))
    }
  })

  const pending = new Gauge({
    name: 'scheduler_pending_questions',
    help: 'Questions that the Cloud Scheduler has taken and not called back about',
    registers: [metrics],
    collect () {
      pending.set(questions.pending())
    }
  })
}
