import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** How many processes want each core now, from 1 to 20: everything takes that many times longer than on a quiet machine. */
const crowding = (): number => Math.min(20, Math.max(1, loadavg()[0]! / availableParallelism()))

/**
 * A limit that does on a quiet machine, as it is on this one now, in the same unit. Also for settings of a server or a
 * cluster whose own patience must not run out because of the machine.
 */
export function patience (limit: number): number {
  return limit * crowding()
}

/** Repeats a look until it satisfies, for what happens soon but not at once. Fails after `ms`, see {@link patience}. */
export async function eventually<T> (look: () => Promise<T>, satisfies: (seen: T) => boolean, ms = 5000): Promise<T> {
  const began = performance.now()
  for (;;) {
    const seen = await look()
    if (satisfies(seen)) return seen
    const waited = performance.now() - began
    if (waited > patience(ms)) throw new Error(`after ${Math.round(waited)} ms still ${JSON.stringify(seen)?.slice(0, 4000)}`)
    // Looks cost the process that is looked at: the longer it takes, the rarer.
    await sleep(Math.min(100, 10 + waited / 50))
  }
}

/** Waits for what is under way already. Fails after `ms`, see {@link patience}. */
export async function within<T> (promise: Promise<T>, what: string, ms = 5000): Promise<T> {
  const ended = new AbortController()
  const limit = patience(ms)
  const late = sleep(limit, undefined, { signal: ended.signal }).then(() => { throw new Error(`${what}: not within ${Math.round(limit)} ms`) })
  late.catch(() => {})
  return await Promise.race([promise, late]).finally(() => ended.abort())
}
