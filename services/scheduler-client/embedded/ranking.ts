import type { ClusterCapacity } from './capacity.js'

/** A cluster and how good it is. */
export interface Ranked {
  capacity: ClusterCapacity
  score: number
}

/** Best first: the highest score, then the lowest cluster id. */
export interface Ranking {
  /** The best, which stays in. */
  first (): Ranked | undefined
  /** Removes and returns the best; undefined when none is left. */
  next (): Ranked | undefined
  add (entry: Ranked): void
}

/**
 * A binary heap: a pass needs the first few of ten thousand and puts one back after each instance, so sorting all of
 * them for every job would cost most of its time. Takes ownership of `heap`.
 */
export function createRanking (heap: Ranked[]): Ranking {
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) sink(i)

  function sink (i: number): void {
    const entry = heap[i] as Ranked
    for (;;) {
      const left = 2 * i + 1
      if (left >= heap.length) break
      const right = heap[left + 1]
      const child = right && before(right, heap[left] as Ranked) ? left + 1 : left
      const better = heap[child] as Ranked
      if (!before(better, entry)) break
      heap[i] = better
      i = child
    }
    heap[i] = entry
  }

  function rise (i: number): void {
    const entry = heap[i] as Ranked
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as Ranked
      if (!before(entry, above)) break
      heap[i] = above
      i = parent
    }
    heap[i] = entry
  }

  return {
    first: () => heap[0],
    next () {
      const best = heap[0]
      const last = heap.pop()
      if (last && heap.length > 0) {
        heap[0] = last
        sink(0)
      }
      return best
    },
    add (entry) {
      heap.push(entry)
      rise(heap.length - 1)
    }
  }
}

function before (a: Ranked, b: Ranked): boolean {
  return a.score > b.score || (a.score === b.score && a.capacity.rank < b.capacity.rank)
}
