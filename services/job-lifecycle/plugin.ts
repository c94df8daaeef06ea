import fp from 'fastify-plugin'
import { createApplications } from './operations/applications.js'
import { createClusterReports } from './operations/cluster-reports.js'
import { createClusterMaintenance } from './operations/cluster-maintenance.js'
import { createCommitter } from './commit.js'
import { createDriftDetection } from './operations/drift.js'
import { createJobFinder } from './operations/find.js'
import { createJobLifecycle, type JobLifecycle } from './lifecycle.js'
import { startPlacementLoop } from './controllers/placement.js'
import { createPlanner } from './operations/plan/planner.js'
import { policyOf } from './state-machine/policy.js'
import { startReconciler } from './controllers/reconciler.js'
import { startRetention } from './controllers/retention.js'
import { createSchedulerCallbacks, type SchedulerCallbacks } from './operations/scheduler-callback.js'
import { createJobOperations } from './operations/jobs.js'

declare module 'fastify' {
  interface FastifyInstance {
    jobLifecycle: JobLifecycle
    schedulerCallbacks: SchedulerCallbacks
  }
}

/** Milliseconds between rounds of the reconciler, and less where the settings are more impatient. */
const RECONCILER_MS = 1000

export default fp(async function jobLifecycle (app) {
  const {
    config,
    store: { jobs, clusters, notifications },
    clusterRegistry: registry,
    schedulerClient: scheduler,
    leases,
    log
  } = app
  const policy = policyOf(config)
  const committer = createCommitter(jobs, policy, log)
  const finder = createJobFinder(jobs)
  const drift = createDriftDetection({ jobs, clusters, committer, intervalMs: config.RECONCILE_S * 1000, log })
  const maintenance = createClusterMaintenance({ jobs, clusters, registry, committer })
  const jobOperations = createJobOperations({ jobs, registry, committer, finder, policy })
  const lifecycle = createJobLifecycle(jobs, {
    ...committer,
    ...finder,
    ...maintenance,
    ...createClusterReports({ jobs, registry, committer, drift }),
    ...jobOperations,
    ...createApplications(jobs, jobOperations),
    ...createPlanner({
      ...jobOperations,
      scheduler: app.embeddedScheduler,
      clusters,
      decidedBy: config.CLOUD_SCHEDULER_URL === '' ? 'embedded' : 'cloud'
    })
  })
  app.decorate('jobLifecycle', lifecycle)
  app.decorate('schedulerAnswers', createSchedulerCallbacks({ lifecycle, registry, scheduler }))

  const closing = new AbortController()
  const { signal } = closing
  const lease = leases.campaign('reconciler')
  const placement = startPlacementLoop({
    jobs,
    scheduler,
    committer,
    lease,
    retryMs: config.PLACEMENT_RETRY_S * 1000,
    signal,
    log
  })
  const reconciler = startReconciler({
    jobs,
    clusters,
    registry,
    maintenance,
    committer,
    policy,
    lease,
    failoverMs: Math.max(config.FAILOVER_AFTER_S, config.CLUSTER_GRACE_S) * 1000,
    intervalMs: Math.min(RECONCILER_MS, policy.scheduledMs, policy.stoppedMs, policy.moveMs),
    signal,
    log
  })
  const retention = startRetention({ jobs, hours: config.JOB_RETENTION_H, signal, log })
  lifecycle.events.on('unplaced', placement.wake)
  registry.events.on('alive', placement.wake)
  scheduler.events.on('changed', placement.wake)
  notifications.on('unplaced', placement.wake)

  app.addHook('onClose', async () => {
    closing.abort()
    notifications.off('unplaced', placement.wake)
    await Promise.all([placement.stopped, reconciler.stopped, retention.stopped, drift.idle()])
  })
}, { name: 'job-lifecycle', dependencies: ['config', 'store', 'leases', 'cluster-registry', 'scheduler-client'] })
