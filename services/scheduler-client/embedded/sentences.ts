import { instant } from '../../../schemas/wording.js'
import { FITS, feasibility, feasibilityOfFigures, STOPPED_BY, takenPort } from './feasibility.js'
import type { Free, ClusterCapacity } from './capacity.js'
import type { PlacementRequest, Refusal } from './placement-request.js'

/** Most technologies named in one sentence; a heartbeat may list 64. */
const MAX_NAMED = 5

/** Most characters quoted of a cluster's own message. */
const MAX_QUOTED = 200

/** Why a cluster does not fit: "0.2 cores free of 1 asked". Follows its name and a colon. */
export function shortfall (capacity: ClusterCapacity, request: PlacementRequest): string {
  switch (Math.floor(feasibility(capacity, request))) {
    case STOPPED_BY.elsewhereAndSilent:
    case STOPPED_BY.alive:
      return capacity.lastSign > 0 ? `silent since ${instant(capacity.lastSign)}` : 'has never given a sign of life'
    case STOPPED_BY.location:
      return `${capacity.location === null ? 'has no location' : `location is ${capacity.location}`}, ` +
        `${request.location} asked`
    case STOPPED_BY.closed:
      return capacity.closed!
    case STOPPED_BY.excluded:
      return request.excluded.get(capacity.id)!
    case STOPPED_BY.technology:
      return `offers ${someOf(capacity.technology)}, ${request.runtime} asked`
    case STOPPED_BY.port:
      return `host port ${takenPort(capacity, request)} is taken on ` +
        (capacity.hosts === 1 ? 'its only worker' : `all its ${capacity.hosts} workers`)
    case STOPPED_BY.refused:
      return refusal(request.refusals.get(capacity.id)!)
    case STOPPED_BY.unknown:
      return unknownFigures(capacity, request)
    default:
      return feasibilityOfFigures(capacity.free, request) === FITS
        ? workerShortfall(capacity, request)
        : freeOfAsked(capacity.free, request)
  }
}

/** What is free: "4 cores and 800 MB free". */
export function freeSentence ({ cpu, memory }: Free): string {
  const known = [cpu === null ? [] : cores(down(cpu)), memory === null ? [] : `${down(memory)} MB`].flat()
  return known.length === 0 ? 'free capacity unknown' : `${known.join(' and ')} free`
}

/** The sums suffice, but no single worker does. */
function workerShortfall ({ workers, free }: ClusterCapacity, request: PlacementRequest): string {
  const named = request.node === undefined ? undefined : workers.find(worker => worker.name === request.node)
  if (named) {
    const says = named.technology.includes(request.runtime)
      ? `has ${freeOfAsked(named.free, request)}`
      : `offers ${someOf(named.technology)}, ${request.runtime} asked`
    return `worker node ${named.name} ${says}`
  }
  if (request.node !== undefined) return `has no worker node ${request.node}`
  const asked = [
    request.cpu > 0 ? cores(up(request.cpu)) : [],
    request.memory > 0 ? `${up(request.memory)} MB` : []
  ].flat().join(' and ')
  if (asked === '' || !workers.some(({ technology }) => technology.includes(request.runtime))) {
    return `no worker node offers ${request.runtime}`
  }
  const inAll = freeSentence({
    cpu: request.cpu > 0 ? free.cpu : null,
    memory: request.memory > 0 ? free.memory : null
  })
  return `${inAll} in all, but no worker node for ${request.runtime} has ${asked} free`
}

/** The first figure that is too small. */
function freeOfAsked (free: Free, request: PlacementRequest): string {
  return feasibilityOfFigures(free, request) < STOPPED_BY.memory
    ? `${cores(down(free.cpu ?? 0))} free of ${up(request.cpu)} asked`
    : `${down(free.memory ?? 0)} MB free of ${up(request.memory)} asked`
}

function refusal ({ at, until, error }: Refusal): string {
  const why = error.slice(0, MAX_QUOTED)
  return `refused it at ${instant(at)} (${why}); it is asked again at ${instant(until)}, or once it reports more room`
}

function unknownFigures ({ heard, free }: ClusterCapacity, request: PlacementRequest): string {
  if (!heard) return 'no heartbeat yet'
  return free.cpu === null && request.cpu > 0
    ? `has not reported its free cores, ${up(request.cpu)} asked`
    : `has not reported its free memory, ${up(request.memory)} MB asked`
}

function cores (n: string): string {
  return `${n} ${n === '1' ? 'core' : 'cores'}`
}

/** What is free is rounded down and what is asked up, so that no sentence says "1 core free of 1 asked". */
function down (n: number): string {
  return String(Math.max(0, Math.floor(n * 100 + 1e-4) / 100))
}

function up (n: number): string {
  return String(Math.ceil(n * 100 - 1e-4) / 100)
}

function someOf (names: readonly string[]): string {
  const rest = names.length - MAX_NAMED
  return rest > 0 ? `${names.slice(0, MAX_NAMED).join(', ')} and ${rest} more` : names.join(', ')
}
