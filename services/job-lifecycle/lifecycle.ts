import type { EventEmitter } from 'node:events'
import type { LifecycleEvents } from './commit.js'
import type { Applications } from './operations/applications.js'
import type { ClusterMaintenance } from './operations/cluster-maintenance.js'
import type { ClusterReports } from './operations/cluster-reports.js'
import type { JobFinder } from './operations/find.js'
import type { JobOperations } from './operations/jobs.js'
import type { Planner } from './operations/plan/planner.js'
import type { SchedulerCallbacks } from './operations/scheduler-callback.js'

/** The operations on jobs and their instances, grouped by caller. */
export interface JobLifecycle {
  events: EventEmitter<LifecycleEvents>
  /** For users: single jobs. */
  jobs: JobOperations & JobFinder
  /** For users: all services of an application. */
  applications: Applications
  /** For users: a preview of a deploy. */
  planner: Planner
  /** For operators: cluster maintenance. */
  clusters: ClusterMaintenance
  /** For clusters: heartbeats, results and command replies. */
  reports: ClusterReports
  /** For the Cloud Scheduler: its answers. */
  schedulerCallbacks: SchedulerCallbacks
}
