import fp from 'fastify-plugin'
import { createJobLifecycle, type JobLifecycle } from './lifecycle.js'
import { startPlacementLoop } from './placement.js'
import { startRetention } from './retention.js'
import { createSchedulerAnswers, type SchedulerAnswers } from './scheduler-answer.js'

declare module 'fastify' {
  interface FastifyInstance { jobLifecycle: JobLifecycle, schedulerAnswers: SchedulerAnswers }
}

export default fp(async function jobLifecycle (app) {
  const lifecycle = createJobLifecycle(app.store.jobs, app.clusterRegistry, app.log)
  app.decorate('jobLifecycle', lifecycle)
  app.decorate('schedulerAnswers', createSchedulerAnswers({ lifecycle, registry: app.clusterRegistry, scheduler: app.schedulerClient }))

  const closing = new AbortController()
  const loop = startPlacementLoop({
    jobs: app.store.jobs,
    scheduler: app.schedulerClient,
    lifecycle,
    retryMs: app.config.PLACEMENT_RETRY_S * 1000,
    signal: closing.signal,
    log: app.log
  })
  const retention = startRetention({ jobs: app.store.jobs, hours: app.config.JOB_RETENTION_H, signal: closing.signal, log: app.log })
  lifecycle.events.on('unplaced', loop.wake)
  app.clusterRegistry.events.on('alive', loop.wake)
  app.schedulerClient.events.on('news', loop.wake)

  app.addHook('onClose', async () => {
    closing.abort()
    await Promise.all([loop.stopped, retention.stopped])
  })
}, { name: 'job-lifecycle', dependencies: ['config', 'store', 'cluster-registry', 'scheduler-client'] })
