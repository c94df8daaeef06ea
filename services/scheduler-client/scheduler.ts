import type { Cluster, ClusterId } from '../../schemas/cluster.js'
import type { Explanation, Job } from '../../schemas/job.js'
import type { PlacementFailure } from '../../schemas/status.js'

/** What a scheduler answers for one job. */
export type PlacementDecision =
  /** Some or all of the unplaced instances have a cluster now. `failure` tells why the rest has none. */
  | { kind: 'placed', assignments: Array<{ instance_number: number, cluster_id: ClusterId }>, explanation: Explanation, failure?: PlacementFailure }
  /** No cluster can take any. */
  | { kind: 'unplaceable', failure: PlacementFailure, explanation: Explanation }
  /** A cluster may be able to, but has not told its figures yet (contract section 2, "seen on the wire"): ask again after its heartbeat. */
  | { kind: 'waiting', explanation: Explanation }

/** A cluster with what is on its way to it already. */
export interface Candidate {
  cluster: Cluster
  /** Requirements of instances placed here that its figures do not show yet. */
  reserved: { cpu: number, memory: number }
}

/** Finds clusters for the instances of jobs that have none. */
export interface SchedulerClient {
  /** Decisions in the order of the jobs; one pass sees its own earlier decisions as taken capacity. */
  place (jobs: Job[]): Promise<PlacementDecision[]>
}
