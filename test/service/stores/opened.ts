import type { Test } from 'tap'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { JobId } from '../../../schemas/job.js'
import type { Store } from '../../../stores/store.js'

/** An empty store for one test. */
export interface Opened {
  store: Store
  /** Closes the store and opens it on the same data. */
  reopen (): Promise<Store>
  /** Closes the store, writes these texts into the database behind its back, and opens it again. */
  tampered (edits: Edit[]): Promise<Store>
  /** What the store logged as errors. */
  errors: LoggedError[]
}

export interface LoggedError {
  details: object
  message: string
}

/**
 * What is stored as JSON, replaced: a job, the document of the job in a command, the warnings of a cluster, an event by
 * its number, an earlier descriptor by its generation.
 */
export type Edit =
  | { job: JobId, text: string }
  | { command: [ClusterId, number], text: string }
  | { cluster: ClusterId, text: string }
  | { event: [JobId, number], text: string }
  | { earlier: [JobId, number], text: string }

/** Opens a store that is closed at the end of the test. */
export type Open = (t: Test) => Promise<Opened>
