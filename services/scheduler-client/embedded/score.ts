import type { Descriptor } from '../../../schemas/descriptor.js'
import type { ClusterCapacity } from './capacity.js'
import type { PlacementRequest } from './placement-request.js'

/** What each instance of the same job on a cluster costs it (spread) or is worth (pack): half of the full headroom. */
const SAME_JOB = 0.5

/** The most free cores and MB among the clusters that fit a job. */
interface Best {
  cpu: number
  memory: number
}

export function bestOf (fitting: ClusterCapacity[]): Best {
  const best = { cpu: 0, memory: 0 }
  for (const { free } of fitting) {
    best.cpu = Math.max(best.cpu, free.cpu ?? 0)
    best.memory = Math.max(best.memory, free.memory ?? 0)
  }
  return best
}

/**
 * How good a fitting cluster is for the next instance of a job:
 *
 *     headroom = (cpuLeft / best.cpu + memoryLeft / best.memory) / 2
 *     spread: headroom - SAME_JOB * sameJob
 *     pack:   1 - headroom + SAME_JOB * sameJob
 *
 * where `cpuLeft` and `memoryLeft` are what the cluster has free after the placement, `best` is the most that any
 * fitting cluster had free before the job's first instance, and `sameJob` counts the job's instances already there.
 * Spread is the default. A figure that is not known, or of which no cluster has any, adds 0. So the headroom is 0 to 1.
 * `best` stays the same for all instances of a job, so that a placement changes the score of the chosen cluster only.
 */
export function scoreOf (
  { free }: ClusterCapacity,
  request: PlacementRequest,
  best: Best,
  sameJob: number,
  policy: Descriptor['placement']
): number {
  const headroom = (share(free.cpu, request.cpu, best.cpu) + share(free.memory, request.memory, best.memory)) / 2
  return policy === 'pack' ? 1 - headroom + SAME_JOB * sameJob : headroom - SAME_JOB * sameJob
}

function share (have: number | null, asked: number, most: number): number {
  return have === null || most === 0 ? 0 : Math.max(0, have - asked) / most
}
