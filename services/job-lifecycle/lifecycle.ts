import type { EventEmitter } from 'node:events'
import type { LifecycleEvents } from './commit.js'
import type { Applications } from './operations/applications.js'
import type { ClusterMaintenance } from './operations/cluster-maintenance.js'
import type { ClusterReports } from './operations/cluster-reports.js'
import type { JobFinder } from './operations/find.js'
import type { JobOperations } from './operations/jobs.js'
import type { Planner } from './operations/plan/planner.js'
import type { SchedulerCallbacks } from './operations/scheduler-callback.js'

/** The life of jobs and their instances, as the rest of the server sees it: by who asks. */
export interface JobLifecycle {
  events: EventEmitter<LifecycleEvents>
  /** Users, about jobs. */
  jobs: JobOperations & JobFinder
  /** Users, about the services of an application as one. */
  applications: Applications
  /** Users, before they deploy. */
  planner: Planner
  /** Operators, about clusters. */
  clusters: ClusterMaintenance
  /** Clusters, about what they run. */
  reports: ClusterReports
  /** The Cloud Scheduler. */
  schedulerCallbacks: SchedulerCallbacks
}
