import type { FastifyBaseLogger } from 'fastify'
import type { Turn } from '../../../background/loop.js'
import type { ClusterId, Heartbeat } from '../../../schemas/cluster.js'
import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import { createClusterRegistry, type ClusterRegistry } from '../../../services/cluster-registry/registry.js'
import { createCommitter } from '../../../services/job-lifecycle/commit.js'
import { expireDue } from '../../../services/job-lifecycle/controllers/deadlines.js'
import { createEvictionHold } from '../../../services/job-lifecycle/controllers/eviction-hold.js'
import { createSilenceWatch } from '../../../services/job-lifecycle/controllers/failover.js'
import { placeUnplaced } from '../../../services/job-lifecycle/controllers/placement.js'
import { createClusterMaintenance, type ClusterMaintenance } from '../../../services/job-lifecycle/operations/cluster-maintenance.js'
import { createClusterReports, type ClusterReports } from '../../../services/job-lifecycle/operations/cluster-reports.js'
import { createDriftDetection } from '../../../services/job-lifecycle/operations/drift.js'
import { createJobFinder } from '../../../services/job-lifecycle/operations/find.js'
import { createLimits } from '../../../services/job-lifecycle/operations/limits.js'
import { createJobOperations, type JobOperations } from '../../../services/job-lifecycle/operations/jobs.js'
import type { Policy } from '../../../services/job-lifecycle/state-machine/policy.js'
import { createEmbeddedScheduler } from '../../../services/scheduler-client/embedded/scheduler.js'
import type { Store } from '../../../stores/store.js'
import type { ModelStore } from './store.js'

/** More than any run asks for. */
const LIMITS = { MAX_INSTANCES_PER_REQUEST: 1e6, MAX_ADDRESSES_PER_NAMESPACE: 1e6, MAX_JOBS_PER_NAMESPACE: 1e6 }

const POLICY: Policy = {
  scheduledMs: 120_000,
  startingMs: 600_000,
  stoppedMs: 120_000,
  maxAttempts: 2,
  moveMs: 300_000,
  rolloutMs: 600_000,
  addressHoldMs: 86_400_000
}
const GRACE_MS = 45_000
const FAILOVER_MS = 120_000

/** In the model nothing fails that a server logs and goes on from: it ends the run. */
const log = {
  debug () {},
  info () {},
  warn () {},
  error ({ err }: { err: unknown }) { throw err }
} as unknown as FastifyBaseLogger

/** The lifecycle of a System Manager that runs, with what it keeps in memory. */
export interface Manager {
  users: JobOperations
  operators: ClusterMaintenance
  registry: ClusterRegistry
  reports: ClusterReports
  /** With the comparison that follows from it. */
  heartbeat (clusterId: ClusterId, body: Heartbeat): Promise<void>
  /** Whether evictions are held, and deadlines with them. */
  isHeld (): boolean
  /** A turn of each controller, once. */
  expireDue (): Promise<void>
  watchSilence (): Promise<void>
  place (): Promise<void>
}

/** Starts a System Manager on what is stored. @param fence Token of the lease that it got. */
export function startManager (store: ModelStore, fence: number): Manager {
  const { jobs, clusters } = store
  const startedAt = Date.now()
  const committer = createCommitter(jobs, POLICY, log)
  const monotonic = () => Date.now()
  const liveness = createLiveness(GRACE_MS, monotonic)
  const registry = createClusterRegistry(store as unknown as Store, liveness)
  const scheduler = createEmbeddedScheduler({ store, liveness, graceMs: GRACE_MS, log })
  const drift = createDriftDetection({ jobs, clusters, committer, intervalMs: 0, log })
  const reports = createClusterReports({ jobs, registry, committer, drift })
  const turn: Turn = {
    fence,
    signal: new AbortController().signal,
    async each (items, act) {
      for (const item of items) await act(item)
    }
  }
  const hold = createEvictionHold({
    share: 0.5, graceMs: GRACE_MS, failoverMs: FAILOVER_MS, patienceMs: FAILOVER_MS, rate: 10
  }, monotonic)
  const watchSilence = createSilenceWatch({
    clusters,
    liveness,
    hold,
    committer,
    graceMs: GRACE_MS,
    failoverMs: FAILOVER_MS,
    log
  })
  return {
    users: createJobOperations({
      jobs,
      registry,
      committer,
      finder: createJobFinder(jobs),
      limits: createLimits(jobs, LIMITS),
      policy: POLICY
    }),
    operators: createClusterMaintenance({ jobs, clusters, registry, committer, log }),
    registry,
    reports,
    async heartbeat (clusterId, body) {
      await reports.heartbeat(clusterId, body)
      await drift.idle()
    },
    isHeld: () => hold.isHeld,
    expireDue: () => expireDue({ jobs, outbox: store, clusters, committer, policy: POLICY, scheduler, hold }, turn),
    async watchSilence () {
      await registry.observe()
      await watchSilence(turn, Date.now() - startedAt)
    },
    place: () => placeUnplaced({ jobs, scheduler, clusters, committer }, turn)
  }
}
