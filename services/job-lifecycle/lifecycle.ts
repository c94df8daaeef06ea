import type { Job, JobEvent } from '../../schemas/job.js'
import type { JobQuery, JobStore } from '../../stores/store.js'
import type { ClusterSide } from './cluster-side.js'
import type { ClusterUpkeeper } from './cluster-upkeep.js'
import type { Committer } from './commit.js'
import type { JobFinder } from './find.js'
import type { UserSide } from './user-side.js'

/** The state machine of jobs and their instances, as the rest of the server sees it. */
export interface JobLifecycle extends UserSide, ClusterSide, ClusterUpkeeper, JobFinder, Committer {
  list (query: JobQuery): Promise<Job[]>
  /** The contract's documents of all jobs that are not UNDEPLOYED, each as JSON. */
  documents (): Promise<string[]>
  history (ref: string, query: { after?: number, limit: number }): Promise<JobEvent[]>
  byAddress (address: string): Promise<Job | undefined>
}

/** Puts the parts together, with what is a plain look into the store. */
export function createJobLifecycle (jobs: JobStore, parts: UserSide & ClusterSide & ClusterUpkeeper & JobFinder & Committer): JobLifecycle {
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
