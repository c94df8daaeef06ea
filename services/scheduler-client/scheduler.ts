import type { EventEmitter } from 'node:events'
import type { Cluster, ClusterId } from '../../schemas/cluster.js'
import type { Explanation, Job, JobId } from '../../schemas/job.js'
import type { PlacementFailure } from '../../schemas/status.js'

/** What a scheduler decides about one job. */
export type PlacementDecision =
  /** Some or all of the unplaced instances have a cluster now. `failure` tells why the rest has none. */
  | {
    kind: 'placed'
    assignments: Array<{ instance_number: number, cluster_id: ClusterId }>
    explanation: Explanation
    failure?: PlacementFailure
  }
  /** No cluster can take any. */
  | { kind: 'unplaceable', failure: PlacementFailure, explanation: Explanation }
  /**
   * A cluster may be able to, but has not told its figures yet (contract section 2, "seen on the wire"): ask again
   * after its heartbeat.
   */
  | { kind: 'waiting', explanation: Explanation }

/**
 * Nothing is decided yet: the question is with a scheduler that calls back, or could not be brought to it. `send`
 * brings it there; it is called after the change of the job is stored, so that nothing which the scheduler writes
 * into the database can be older than that (contract section 4).
 */
export interface Question {
  kind: 'asked'
  explanation: Explanation
  send?: () => void
}

/** A cluster with what is on its way to it already. */
export interface Candidate {
  cluster: Cluster
  /** Requirements of instances placed here that its figures do not show yet. */
  reserved: { cpu: number, memory: number }
}

/** What the placement loop may listen to. */
interface SchedulerEvents {
  /** It may say something else about some jobs now than it did in the last pass. */
  changed: []
}

/** Finds clusters for the instances of jobs that have none. */
export interface SchedulerClient {
  events: EventEmitter<SchedulerEvents>
  /** In the order of the jobs; one pass sees its own earlier decisions as taken capacity. Does not wait for a peer. */
  place (jobs: Job[]): Promise<Array<PlacementDecision | Question>>
  /** The scheduler has called back about this job, so the question is not pending any more. */
  answered (id: JobId): void
  /** A sentence that it answers; `scheduler_unavailable`, within 2 s, when it does not. */
  test (): Promise<string>
}
