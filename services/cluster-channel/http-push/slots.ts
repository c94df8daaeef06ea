/** Runs at most so many jobs at a time; the others wait for their turn, in order. */
export type Slots = <T>(job: () => Promise<T>) => Promise<T>

export function createSlots (count: number): Slots {
  let free = count
  const waiting: Array<() => void> = []

  return async job => {
    if (free > 0) free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await job()
    } finally {
      // The slot goes over to who waits longest.
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
