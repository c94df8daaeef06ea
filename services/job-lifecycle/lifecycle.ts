import type { Job, JobEvent } from '../../schemas/job.js'
import type { JobQuery, JobStore } from '../../stores/store.js'
import type { Applications } from './operations/applications.js'
import type { ClusterReports } from './operations/cluster-reports.js'
import type { ClusterMaintenance } from './operations/cluster-maintenance.js'
import type { Committer } from './commit.js'
import type { JobFinder } from './operations/find.js'
import type { Planner } from './operations/plan/planner.js'
import type { JobOperations } from './operations/jobs.js'

/** The state machine of jobs and their instances, as the rest of the server sees it. */
export interface JobLifecycle
  extends JobOperations, Applications, Planner, ClusterReports, ClusterMaintenance, JobFinder, Committer {
  list (query: JobQuery): Promise<Job[]>
  /** The contract's documents of all jobs that are not UNDEPLOYED, each as JSON. */
  documents (): Promise<string[]>
  history (ref: string, query: { after?: number, limit: number }): Promise<JobEvent[]>
  byAddress (address: string): Promise<Job | undefined>
}

/** Puts the parts together, with what is a plain look into the store. */
export function createJobLifecycle (
  jobs: JobStore,
  parts: JobOperations & Applications & Planner & ClusterReports & ClusterMaintenance & JobFinder & Committer
): JobLifecycle {
  return {
    ...parts,
    list: query => jobs.list(query),
    documents: () => jobs.documents(),
    byAddress: address => jobs.byAddress(address),

    async history (ref, query) {
      const { id } = await parts.find(ref)
      return await jobs.events(id, query)
    }
  }
}
