import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../schemas/errors.js'

/** Tries of what other writers may get in the way of; far more than ever get in the way of each other. */
const MAX_TRIES = 50

/** Milliseconds between two tries at most. Between the first ones there are hardly any. */
const MAX_PAUSE_MS = 20

/** Milliseconds after which no other try begins: whoever asked is told by then. */
const MAX_MS = 1000

/**
 * Bounds a loop that tries again what another writer got in the way of. What it gives is awaited before each further
 * try: it waits for a moment, the longer the more often, and throws `store_unavailable` when it is not to be tried
 * again.
 * @param what Names what keeps failing, as the beginning of a sentence.
 */
export function createRetries (what: string, mostTries = MAX_TRIES): (cause?: unknown) => Promise<void> {
  const end = performance.now() + MAX_MS
  let tries = 1
  return async cause => {
    if (++tries > mostTries || performance.now() > end) {
      throw new ApiError('store_unavailable', `${what}: other writers kept getting in the way`, { cause })
    }
    await sleep(Math.random() * Math.min(MAX_PAUSE_MS, 2 ** tries))
  }
}
