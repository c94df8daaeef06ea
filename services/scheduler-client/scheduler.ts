import type { EventEmitter } from 'node:events'
import type { ClusterId, PlacementView } from '../../schemas/cluster.js'
import type { Explanation, Job, JobId, Offer } from '../../schemas/job.js'
import type { PlacementFailure } from '../../schemas/status.js'

/** A cluster for an instance. */
export interface Assignment {
  instance_number: number
  cluster_id: ClusterId
  /** It is an original cluster (contract section 10). */
  original: boolean
  /** What the cluster had free, as it reported it. */
  offered: Offer | null
}

/** What a scheduler decides about one job. */
export type PlacementDecision =
  /** Some or all of the unplaced instances have a cluster now. `failure` says why the others have none. */
  | {
    kind: 'placed'
    assignments: Assignment[]
    explanation: Explanation
    failure?: PlacementFailure
  }
  /** No cluster can take any. */
  | { kind: 'unplaceable', failure: PlacementFailure, explanation: Explanation }
  /**
   * A cluster may be able to, but has not reported its figures yet (contract section 2, "seen on the wire"): ask
   * again after its heartbeat.
   */
  | { kind: 'waiting', explanation: Explanation }

/**
 * Nothing is decided yet: a scheduler that calls back has the question, or could not be reached. `send` sends it, and
 * is called after the change of the job is stored, so that nothing which the scheduler writes into the database can be
 * older than that change (contract section 4).
 */
export interface Question {
  kind: 'asked'
  explanation: Explanation
  send?: () => void
}

/** A cluster, with what is on its way to it already. */
export interface Candidate {
  cluster: PlacementView
  /** Milliseconds since its last sign of life. */
  silentMs: number
  /** Requirements of instances placed here that its figures do not show yet. */
  reserved: { cpu: number, memory: number }
}

/** What wakes the placement loop. */
interface SchedulerEvents {
  /** It may decide differently about some jobs than in the last pass. */
  changed: []
}

/** Finds clusters for the instances of jobs that have none. */
export interface SchedulerClient {
  events: EventEmitter<SchedulerEvents>
  /**
   * In the order of the jobs; one pass counts its own earlier decisions as taken capacity. Does not wait for a peer.
   * Undefined for a job about which no decision is possible, which is logged: the job stays as it is.
   */
  place (jobs: Job[]): Promise<Array<PlacementDecision | Question | undefined>>
  /** The scheduler has called back about this job: its question is no longer pending. */
  answered (id: JobId): void
  /** Resolves with a sentence when it answers; rejects with `scheduler_unavailable`, within 2 s, when it does not. */
  test (): Promise<string>
}
