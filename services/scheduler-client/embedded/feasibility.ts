import type { Free, ClusterCapacity, WorkerCapacity } from './capacity.js'
import { hasGrown } from '../../../schemas/cluster-facts.js'
import type { PlacementRequest } from './placement-request.js'

/**
 * How near a cluster is to fitting: the filter that stopped it, the later the nearer. Clusters at the requested
 * location come before all others, or the one silent cluster that matters would be lost among a hundred elsewhere. A
 * cluster that fits by all that it has reported, but has not reported everything, is nearest of all.
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
  port: 10,
  refused: 11,
  unknown: 12
} as const

/** Feasibility of a cluster that fits: no filter stopped it. */
export const FITS = Infinity

/**
 * Shortfalls below a millionth of a core or MB are rounding errors: 0.3 cores hold three times 0.1.
 * Exported, so that a check of a placement uses the same measure.
 */
export const ROUNDING = 1e-6

/**
 * Puts a cluster through the hard filters: location, alive (contract section 4), open to new instances, not excluded,
 * figures known (section 2, "seen on the wire"), technology, node, cpu, memory (section 6), host port, and last whether
 * it refused the job a short while ago and has no more room since.
 * @returns {@link FITS}, or a number of {@link STOPPED_BY}; for cpu and memory plus the share of the request
 *   that is free, 0 to below 1.
 */
export function feasibility (capacity: ClusterCapacity, request: PlacementRequest): number {
  if (request.location !== undefined && capacity.location !== request.location && capacity.name !== request.location) {
    return capacity.alive ? STOPPED_BY.location : STOPPED_BY.elsewhereAndSilent
  }
  if (!capacity.alive) return STOPPED_BY.alive
  if (capacity.closed !== undefined) return STOPPED_BY.closed
  if (request.excluded.has(capacity.id)) return STOPPED_BY.excluded
  if (!capacity.heard) return STOPPED_BY.unknown
  if (!capacity.technology.includes(request.runtime)) return STOPPED_BY.technology
  const ofSums = feasibilityOfFigures(capacity.free, request)
  const found = capacity.workers.length === 0
    ? ofSums
    : Math.min(ofSums, feasibilityOfWorkers(capacity.workers, request))
  if (found === FITS && takenPort(capacity, request) !== undefined) return STOPPED_BY.port
  const refusal = found === FITS ? request.refusals.get(capacity.id) : undefined
  return refusal && !hasGrown(refusal.offered, capacity.offer, request) ? STOPPED_BY.refused : found
}

/** The first host port asked for that is taken on all workers: each holds it once. */
export function takenPort (
  { hosts, ports }: ClusterCapacity,
  { hostPorts }: Pick<PlacementRequest, 'hostPorts'>
): string | undefined {
  return hostPorts.find(port => (ports.get(port) ?? 0) >= hosts)
}

/** Whether the request fits into the figures. A figure that is too small counts before one that is not known. */
export function feasibilityOfFigures (free: Free, request: PlacementRequest): number {
  const cpuHeld = holds(free.cpu, request.cpu)
  if (!cpuHeld && free.cpu !== null) return STOPPED_BY.cpu + share(free.cpu, request.cpu)
  const memoryHeld = holds(free.memory, request.memory)
  if (!memoryHeld && free.memory !== null) return STOPPED_BY.memory + share(free.memory, request.memory)
  return cpuHeld && memoryHeld ? FITS : STOPPED_BY.unknown
}

/** One worker must hold the whole request, so the nearest of them counts. */
function feasibilityOfWorkers (workers: WorkerCapacity[], request: PlacementRequest): number {
  let nearest: number = STOPPED_BY.node
  for (const worker of workers) {
    nearest = Math.max(nearest, feasibilityOfWorker(worker, request))
    if (nearest === FITS) break
  }
  return nearest
}

/** Like {@link feasibility}, for one worker of a cluster. */
export function feasibilityOfWorker (worker: WorkerCapacity, request: PlacementRequest): number {
  if (request.node !== undefined && worker.name !== request.node) return STOPPED_BY.node
  if (!worker.technology.includes(request.runtime)) return STOPPED_BY.workerTechnology
  return feasibilityOfFigures(worker.free, request)
}

/** Whether `asked` fits into `free`. Nothing always fits; anything more does not fit into an unknown figure. */
function holds (free: number | null, asked: number): boolean {
  return asked <= 0 || (free !== null && free + ROUNDING >= asked)
}

function share (free: number, asked: number): number {
  return Math.max(0, free / asked)
}
