import type { BoundedCollection } from './bounded-collection.js'
import type { NetDocument } from './collections.js'
import { isDuplicateKey } from './failures.js'
import { createRetries } from './retries.js'

/** A counter of netcache.net: the next address to give out, as the original counts (contract section 7). */
export interface Counter {
  /**
   * Moves on by what `step` says of the present address, atomically among all processes; gives both. Undefined when
   * `step` is, for there is nowhere to go.
   */
  advance (step: (from: number[]) => number[] | undefined): Promise<{ from: number[], to: number[] } | undefined>
}

/** A counter that the original left is carried on from where it is. */
export function createCounter (
  net: BoundedCollection<NetDocument>,
  type: 'next_service_ip' | 'next_subnet_ip',
  first: number[]
): Counter {
  let known: NetDocument | undefined

  /** The oldest, should the original have made two. Ours has a fixed id, so that there cannot be two of it. */
  async function read (): Promise<NetDocument> {
    const [found] = await net.findMany({ type }, { sort: { _id: 1 }, limit: 1 })
    if (found) return found
    try {
      await net.insertOne({ _id: type, type, ipv4: first })
    } catch (err) {
      if (!isDuplicateKey(err)) throw err
    }
    return read()
  }

  return {
    async advance (step) {
      const retry = createRetries(`netcache.net ${type}`)
      for (;;) {
        // Several may be on their way at the same time: each goes by what it has seen itself.
        const seen = known ??= await read()
        const to = step(seen.ipv4)
        if (to) {
          const { matchedCount } = await net.updateOne({ _id: seen._id!, ipv4: seen.ipv4 }, { $set: { ipv4: to } })
          if (matchedCount > 0) {
            known = { ...seen, ipv4: to }
            return { from: seen.ipv4, to }
          }
        } else if ((await read()).ipv4.join() === seen.ipv4.join()) {
          return undefined
        }
        // Another process has moved it.
        await retry()
        known = await read()
      }
    }
  }
}

/** Takes up to `most` addresses that were given back, the longest free first. */
export async function takeFreed (
  net: BoundedCollection<NetDocument>,
  type: 'free_service_ip' | 'free_subnet_ip',
  most: number
): Promise<string[]> {
  const found = await net.findMany({ type }, { sort: { _id: 1 }, limit: most })
  if (found.length === 0) return []
  await net.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } })
  return found.map(({ ipv4 }) => ipv4.join('.'))
}
