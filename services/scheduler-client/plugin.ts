import fp from 'fastify-plugin'
import { createLink } from './cloud/link.js'
import { createQuestions } from './cloud/questions.js'
import { createCloudScheduler } from './cloud/scheduler.js'
import { createEmbeddedScheduler, type EmbeddedScheduler } from './embedded/scheduler.js'
import { measureScheduler } from './metrics.js'
import type { SchedulerClient } from './scheduler.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** The scheduler that decides: the Cloud Scheduler where the settings name one, else the embedded scheduler. */
    schedulerClient: SchedulerClient
    /** Decides at once by the figures here, with `CLUSTER_GRACE_S`. Plans are made with it, whichever one decides. */
    embeddedScheduler: EmbeddedScheduler
  }
}

/** Milliseconds of silence after which the Cloud Scheduler counts a cluster as inactive (contract section 4). */
const CLOUD_GRACE_MS = 30_000

export default fp(async function schedulerClient (app) {
  const { config, store, clusterRegistry: { liveness }, metrics, log } = app
  const graceMs = config.CLUSTER_GRACE_S * 1000
  const embedded = createEmbeddedScheduler({ store, liveness, graceMs, log })
  app.decorate('embeddedScheduler', embedded)
  if (config.CLOUD_SCHEDULER_URL === '') {
    app.decorate('schedulerClient', embedded)
    return
  }

  const origin = originOf(config.CLOUD_SCHEDULER_URL, config.CLOUD_SCHEDULER_PORT)
  const retryMs = config.PLACEMENT_RETRY_S * 1000
  const listening = new Promise<void>(resolve => {
    app.addHook('onListen', async () => resolve())
  })
  const link = createLink({ origin, timeoutMs: config.SCHEDULER_TIMEOUT_S * 1000, probeMs: retryMs, listening })
  const questions = createQuestions(retryMs)
  app.decorate(
    'schedulerClient',
    createCloudScheduler({
      origin,
      link,
      questions,
      callbackMs: config.SCHEDULER_CALLBACK_S * 1000,
      embedded,
      fallback: config.SCHEDULER_FALLBACK === 'embedded',
      verdictJudge: createEmbeddedScheduler({ store, liveness, graceMs: Math.min(graceMs, CLOUD_GRACE_MS), log }),
      log
    })
  )
  measureScheduler(metrics, link, questions)
  link.events.on('opened', () => {
    const reason = link.lastFailure()
    log.warn({ origin, reason }, 'the Cloud Scheduler does not answer, it gets no questions until it does')
  })
  link.events.on('closed', () => log.info({ origin }, 'the Cloud Scheduler answers again'))
  app.addHook('onClose', () => link.close())
}, { name: 'scheduler-client', dependencies: ['config', 'store', 'cluster-registry', 'metrics'] })

/** An IPv6 address stands in brackets in a URL (RFC 3986, section 3.2.2). */
function originOf (host: string, port: number): string {
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}
