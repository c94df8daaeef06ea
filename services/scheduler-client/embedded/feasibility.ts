import { holds, type Free, type Room, type WorkerRoom } from './capacity.js'
import type { Wish } from './placement-request.js'

/**
 * How near a cluster is to fitting: the filter that stopped it, later ones being nearer. Clusters of the asked place
 * come before all others, or the one silent cluster that matters would be lost among a hundred elsewhere; one that
 * may fit for all that it has told is nearest of all.
 */
export const STOPPED_BY = {
  elsewhereAndSilent: 0,
  location: 1,
  alive: 2,
  closed: 3,
  excluded: 4,
  technology: 5,
  node: 6,
  workerTechnology: 7,
  cpu: 8,
  memory: 9,
  refused: 10,
  unknown: 11
} as const

/** Nearness of a cluster that fits. */
export const FITS = 12

/** Closeness within cpu and memory stays below the next filter. */
const MOST_SHARE = 0.99

/**
 * Puts a cluster through the hard filters: alive (contract section 4), location, open to new instances, not excluded,
 * figures known (section 2, "seen on the wire"), technology, node, cpu, memory (section 6), and last whether it refused
 * the job a short while ago.
 * @returns {@link FITS}, or a number of {@link STOPPED_BY}; for cpu and memory plus the free share (0 to 0.99) of what
 *   is asked.
 */
export function nearness (room: Room, wish: Wish): number {
  if (wish.location !== undefined && room.location !== wish.location && room.name !== wish.location) {
    return room.alive ? STOPPED_BY.location : STOPPED_BY.elsewhereAndSilent
  }
  if (!room.alive) return STOPPED_BY.alive
  if (room.closed !== undefined) return STOPPED_BY.closed
  if (wish.excluded.has(room.id)) return STOPPED_BY.excluded
  if (!room.heard) return STOPPED_BY.unknown
  if (!room.technology.includes(wish.runtime)) return STOPPED_BY.technology
  const ofSums = nearnessOfFigures(room.free, wish)
  const found = room.workers.length === 0 ? ofSums : Math.min(ofSums, nearnessOfWorkers(room.workers, wish))
  return found === FITS && wish.refusals.has(room.id) ? STOPPED_BY.refused : found
}

/** Whether the figures hold what is asked. Known to be too little counts before not known. */
export function nearnessOfFigures (free: Free, wish: Wish): number {
  const cpuHeld = holds(free.cpu, wish.cpu)
  if (!cpuHeld && free.cpu !== null) return STOPPED_BY.cpu + share(free.cpu, wish.cpu)
  const memoryHeld = holds(free.memory, wish.memory)
  if (!memoryHeld && free.memory !== null) return STOPPED_BY.memory + share(free.memory, wish.memory)
  return cpuHeld && memoryHeld ? FITS : STOPPED_BY.unknown
}

/** One worker must have it all, so the nearest of them counts. */
function nearnessOfWorkers (workers: WorkerRoom[], wish: Wish): number {
  let nearest = 0
  for (const worker of workers) {
    nearest = Math.max(nearest, nearnessOfWorker(worker, wish))
    if (nearest === FITS) break
  }
  return nearest
}

function nearnessOfWorker (worker: WorkerRoom, wish: Wish): number {
  if (wish.node !== undefined && worker.name !== wish.node) return STOPPED_BY.node
  if (!worker.technology.includes(wish.runtime)) return STOPPED_BY.workerTechnology
  return nearnessOfFigures(worker.free, wish)
}

function share (free: number, asked: number): number {
  return Math.min(MOST_SHARE, Math.max(0, free / asked))
}
