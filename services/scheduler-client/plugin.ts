import fp from 'fastify-plugin'
import { createEmbeddedScheduler, type EmbeddedScheduler } from './embedded/scheduler.js'
import type { SchedulerClient } from './scheduler.js'

declare module 'fastify' {
  interface FastifyInstance {
    schedulerClient: SchedulerClient
    /** Judges what is only planned, whichever scheduler decides. */
    embeddedScheduler: EmbeddedScheduler
  }
}

export default fp(async function schedulerClient (app) {
  const embedded = createEmbeddedScheduler(app.store, app.config.CLUSTER_GRACE_S * 1000)
  app.decorate('embeddedScheduler', embedded)
  app.decorate('schedulerClient', embedded)
}, { name: 'scheduler-client', dependencies: ['config', 'store'] })
