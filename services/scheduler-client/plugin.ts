import fp from 'fastify-plugin'
import { createLink } from './cloud/link.js'
import { createQuestions } from './cloud/questions.js'
import { createCloudScheduler } from './cloud/scheduler.js'
import { createEmbeddedScheduler, type EmbeddedScheduler } from './embedded/scheduler.js'
import { measureScheduler } from './metrics.js'
import type { SchedulerClient } from './scheduler.js'

declare module 'fastify' {
  interface FastifyInstance {
    schedulerClient: SchedulerClient
    /** Judges what is only planned, whichever scheduler decides. */
    embeddedScheduler: EmbeddedScheduler
  }
}

/** Milliseconds of silence after which the Cloud Scheduler counts a cluster as inactive (contract section 4). */
const CLOUD_GRACE_MS = 30_000

/** The Cloud Scheduler where the settings name one, else the embedded scheduler. */
export default fp(async function schedulerClient (app) {
  const { config, store, metrics } = app
  const graceMs = config.CLUSTER_GRACE_S * 1000
  if (config.CLOUD_SCHEDULER_URL === '') {
    const embedded = createEmbeddedScheduler(store, graceMs)
    app.decorate('schedulerClient', embedded)
    app.decorate('embeddedScheduler', embedded)
    return
  }

  const origin = originOf(config.CLOUD_SCHEDULER_URL, config.CLOUD_SCHEDULER_PORT)
  const retryMs = config.PLACEMENT_RETRY_S * 1000
  const link = createLink({ origin, timeoutMs: config.SCHEDULER_TIMEOUT_S * 1000, probeMs: retryMs })
  const questions = createQuestions(retryMs)
  const judge = createEmbeddedScheduler(store, Math.min(graceMs, CLOUD_GRACE_MS))
  app.decorate('embeddedScheduler', judge)
  app.decorate(
    'schedulerClient',
    createCloudScheduler({
      origin,
      link,
      questions,
      callbackMs: config.SCHEDULER_CALLBACK_S * 1000,
      embedded: createEmbeddedScheduler(store, graceMs),
      fallback: config.SCHEDULER_FALLBACK === 'embedded',
      judge
    })
  )
  measureScheduler(metrics, link, questions)
  link.events.on(
    'opened',
    () =>
      app.log.warn(
        { origin, reason: link.lastFailure() },
        'the Cloud Scheduler does not answer, it is not asked until it does'
      )
  )
  link.events.on('closed', () => app.log.info({ origin }, 'the Cloud Scheduler answers again'))
  app.addHook('onClose', () => link.close())
}, { name: 'scheduler-client', dependencies: ['config', 'store', 'metrics'] })

/** An IPv6 address stands in brackets in a URL (RFC 3986, section 3.2.2). */
function originOf (host: string, port: number): string {
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}
