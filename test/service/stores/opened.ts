import type { Test } from 'tap'
import type { Store } from '../../../stores/store.js'

/** An empty store for one test. */
export interface Opened {
  store: Store
  /** Closes the store and opens it on the same data. */
  reopen (): Promise<Store>
}

/** Opens a store that is closed at the end of the test. */
export type Open = (t: Test) => Promise<Opened>
