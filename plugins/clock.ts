import { Counter } from 'prom-client'
import fp from 'fastify-plugin'
import { createClock, type Clock } from '../background/clock.js'

declare module 'fastify' {
  interface FastifyInstance {
    clock: Clock
  }
}

/** Milliseconds between looks at the clock. */
const LOOK_MS = 1000

/**
 * Notices when the clock of this machine is set. What counts inside this process is monotonic time; times that are
 * stored are of the wall clock, and deadlines among them wait for as long as it was set forward.
 */
export default fp(async function clock (app) {
  const steps = new Counter({
    name: 'edgeio_clock_steps_total',
    help: 'Times that the clock of this machine was set, forward or back, by a second or more',
    registers: [app.metrics]
  })
  const clock = createClock(stepMs => {
    steps.inc()
    const how = `${stepMs > 0 ? 'forward' : 'back'} by ${Math.round(Math.abs(stepMs) / 100) / 10} s`
    app.log.warn({ step_ms: Math.round(stepMs) }, `the clock of this machine was set ${how}, or the machine slept`)
  })
  app.decorate('clock', clock)
  const timer = setInterval(() => clock.look(), LOOK_MS).unref()
  app.addHook('onClose', async () => clearInterval(timer))
}, { name: 'clock', dependencies: ['metrics'] })
