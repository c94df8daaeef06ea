import fp from 'fastify-plugin'
import type { Config } from '../../schemas/config.js'
import type { Cluster } from '../../schemas/cluster.js'
import { isOriginal } from '../../schemas/cluster-facts.js'
import type { Liveness } from '../cluster-registry/liveness.js'
import { count } from '../../schemas/wording.js'
import { createCommitter, type Decide } from './commit.js'
import { startDeadlines } from './controllers/deadlines.js'
import { createEvictionHold } from './controllers/eviction-hold.js'
import { startFailover } from './controllers/failover.js'
import { startPlacement } from './controllers/placement.js'
import { startRetention } from './controllers/retention.js'
import type { JobLifecycle } from './lifecycle.js'
import { measureEvictions } from './metrics.js'
import { createApplications } from './operations/applications.js'
import { createClusterMaintenance } from './operations/cluster-maintenance.js'
import { createClusterReports } from './operations/cluster-reports.js'
import { createDriftDetection } from './operations/drift.js'
import { createJobFinder } from './operations/find.js'
import { createLimits } from './operations/limits.js'
import { createJobOperations } from './operations/jobs.js'
import { createPlanner } from './operations/plan/planner.js'
import { createSchedulerCallbacks } from './operations/scheduler-callback.js'
import { registeredAs } from './state-machine/decisions/cluster-kind.js'
import { takenOver } from './state-machine/decisions/takeover.js'
import type { Policy } from './state-machine/policy.js'

declare module 'fastify' {
  interface FastifyInstance {
    jobLifecycle: JobLifecycle
  }
}

/** Milliseconds between checks of deadlines and silent clusters, at most: a shorter deadline shortens them. */
const CHECK_MS = 1000

/** Heartbeats that a cluster has before a hold of evictions ends. */
const HEARTBEATS = 2

export default fp(async function jobLifecycle (app) {
  const { config, store, clusterRegistry: registry, schedulerClient: scheduler, loops, clock, log } = app
  const { jobs, clusters, outbox, notifications } = store
  const policy = policyOf(config)
  const committer = createCommitter(jobs, policy, log)
  const finder = createJobFinder(jobs)
  const drift = createDriftDetection({ jobs, clusters, committer, intervalMs: config.RECONCILE_S * 1000, log })
  const limits = createLimits(jobs, config)
  const operations = createJobOperations({ jobs, registry, committer, finder, limits, policy })
  app.decorate('jobLifecycle', {
    events: committer.events,
    jobs: { ...operations, ...finder },
    applications: createApplications(jobs, operations),
    planner: createPlanner({
      preview: operations.preview,
      scheduler: app.embeddedScheduler,
      clusters,
      decidedBy: config.CLOUD_SCHEDULER_URL === '' ? 'embedded' : 'cloud'
    }),
    clusters: createClusterMaintenance({ jobs, clusters, registry, committer, log }),
    reports: createClusterReports({ jobs, registry, committer, drift }),
    schedulerCallbacks: createSchedulerCallbacks({ clusters, committer, finder, registry, scheduler })
  })

  /** Under way: what registrations say of the jobs of their clusters. */
  const noting = new Set<Promise<void>>()
  function note (cluster: Cluster, decide: Decide): void {
    const work = committer.changeOn(cluster.id, decide)
      .then(() => {}, (err: unknown) =>
        log.error({ err, cluster_id: cluster.id }, 'what a cluster registered as could not be noted on its jobs'))
      .finally(() => noting.delete(work))
    noting.add(work)
  }

  const lease = app.leases.campaign('reconciler')
  const startLoop = loops.start
  const everyMs = Math.min(CHECK_MS, policy.scheduledMs, policy.stoppedMs, policy.moveMs)
  const graceMs = config.CLUSTER_GRACE_S * 1000
  const failoverMs = config.FAILOVER_AFTER_S * 1000
  const hold = createEvictionHold({
    share: config.EVICTION_HOLD_SHARE,
    graceMs,
    failoverMs,
    patienceMs: Math.max(failoverMs, HEARTBEATS * config.HEARTBEAT_INTERVAL_S * 1000),
    rate: config.EVICTION_RATE
  })
  const { liveness } = registry
  app.health.add(
    'evictions',
    async () =>
      lease.token === undefined ? 'another System Manager decides on them' : describeHold(hold.reason(), liveness)
  )
  measureEvictions(app.metrics, liveness)
  const retryMs = config.PLACEMENT_RETRY_S * 1000
  const placement = startPlacement({ jobs, scheduler, clusters, committer, lease, retryMs, startLoop })
  const controllers = [
    placement,
    startDeadlines({
      jobs,
      outbox,
      clusters,
      committer,
      policy,
      scheduler: app.embeddedScheduler,
      hold,
      clock,
      lease,
      everyMs,
      startLoop
    }),
    startFailover({ clusters, liveness, hold, committer, graceMs, failoverMs, lease, everyMs, startLoop, log }),
    startRetention({ jobs, hours: config.JOB_RETENTION_H, startLoop, log })
  ]
  committer.events.on('unplaced', placement.wake)
  registry.events.on('alive', placement.wake)
  registry.events.on('kind', cluster => note(cluster, job => registeredAs(job, cluster.id, isOriginal(cluster))))
  registry.events.on('takeover', cluster => {
    const { id, cluster_name: name, takeover } = cluster
    log.warn({ cluster: name, cluster_id: id, takeover }, 'another machine, perhaps, took over the name of a cluster')
    note(cluster, job => takenOver(job, cluster))
  })
  scheduler.events.on('changed', placement.wake)
  notifications.on('unplaced', placement.wake)

  app.addHook('onClose', async () => {
    notifications.off('unplaced', placement.wake)
    await Promise.all([...controllers.map(controller => controller.stop()), drift.idle(), ...noting])
  })
}, {
  name: 'job-lifecycle',
  dependencies: [
    'config',
    'clock',
    'store',
    'loops',
    'leases',
    'health',
    'metrics',
    'cluster-registry',
    'scheduler-client'
  ]
})

function describeHold (reason: string | undefined, liveness: Pick<Liveness, 'vitals'>): string {
  const waiting = liveness.vitals().filter(({ lost, evicted }) => lost && !evicted).length
  return reason === undefined
    ? waiting === 0 ? 'no eviction is held' : `${count(waiting, 'cluster')} to be evicted, so many a minute`
    : `evictions are held, since ${reason}: nothing is started elsewhere, nothing is removed`
}

function policyOf (config: Config): Policy {
  return {
    scheduledMs: config.DEADLINE_SCHEDULED_S * 1000,
    startingMs: config.DEADLINE_STARTING_S * 1000,
    stoppedMs: config.DEADLINE_STOPPED_S * 1000,
    maxAttempts: config.MAX_START_ATTEMPTS,
    moveMs: config.DEADLINE_MOVE_S * 1000,
    rolloutMs: config.DEADLINE_ROLLOUT_S * 1000,
    addressHoldMs: config.ADDRESS_HOLD_H * 3_600_000
  }
}
