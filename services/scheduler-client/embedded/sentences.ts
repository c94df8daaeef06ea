import { FITS, nearness, nearnessOfFigures, STOPPED_BY } from './feasibility.js'
import type { Free, Room } from './capacity.js'
import type { Wish } from './placement-request.js'

/** Most technologies named in one sentence; a heartbeat may list 64. */
const MAX_NAMED = 5

/** Most characters of a cluster's own words in one sentence. */
const MAX_QUOTED = 200

/** Why a cluster that does not fit does not: "0.2 cores free of 1 asked". For use after its name and a colon. */
export function shortfall (room: Room, wish: Wish): string {
  switch (Math.floor(nearness(room, wish))) {
    case STOPPED_BY.elsewhereAndSilent:
    case STOPPED_BY.alive:
      return `silent for ${duration(room.silentMs)}`
    case STOPPED_BY.location:
      return `${room.location === null ? 'has no location' : `location is ${room.location}`}, ` +
        `${wish.location ?? 'none'} asked`
    case STOPPED_BY.closed:
      return room.closed ?? 'takes nothing'
    case STOPPED_BY.excluded:
      return wish.excluded.get(room.id) ?? 'is left out'
    case STOPPED_BY.technology:
      return `offers ${someOf(room.technology)}, ${wish.runtime} asked`
    case STOPPED_BY.refused:
      return refusal(room, wish)
    case STOPPED_BY.unknown:
      return unknownFigures(room, wish)
    default:
      return nearnessOfFigures(room.free, wish) === FITS ? workerShortfall(room, wish) : freeOfAsked(room.free, wish)
  }
}

/** What is free: "4 cores and 800 MB free". */
export function freeSentence ({ cpu, memory }: Free): string {
  const told = [cpu === null ? [] : cores(down(cpu)), memory === null ? [] : `${down(memory)} MB`].flat()
  return told.length === 0 ? 'its free figures are not known' : `${told.join(' and ')} free`
}

/** "1 cluster", "3 clusters". */
export function count (n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** The sums would do, but no worker does. */
function workerShortfall ({ workers, free }: Room, wish: Wish): string {
  const named = wish.node === undefined ? undefined : workers.find(worker => worker.name === wish.node)
  if (named) {
    const says = named.technology.includes(wish.runtime)
      ? `has ${freeOfAsked(named.free, wish)}`
      : `offers ${someOf(named.technology)}, ${wish.runtime} asked`
    return `worker node ${named.name} ${says}`
  }
  if (wish.node !== undefined) return `has no worker node ${wish.node}`
  const asked = [wish.cpu > 0 ? cores(up(wish.cpu)) : [], wish.memory > 0 ? `${up(wish.memory)} MB` : []].flat().join(
    ' and '
  )
  if (
    asked === '' || !workers.some(({ technology }) => technology.includes(wish.runtime))
  ) {
    return `no worker node offers ${wish.runtime}`
  }
  const inAll = freeSentence({ cpu: wish.cpu > 0 ? free.cpu : null, memory: wish.memory > 0 ? free.memory : null })
  return `${inAll} in all, but no worker node for ${wish.runtime} has ${asked} free`
}

/** The first figure that is too small. */
function freeOfAsked (free: Free, wish: Wish): string {
  return nearnessOfFigures(free, wish) < STOPPED_BY.memory
    ? `${cores(down(free.cpu ?? 0))} free of ${up(wish.cpu)} asked`
    : `${down(free.memory ?? 0)} MB free of ${up(wish.memory)} asked`
}

function refusal (room: Room, wish: Wish): string {
  const { ago = 0, error = '' } = wish.refusals.get(room.id) ?? {}
  return `refused it ${duration(ago)} ago: ${error.slice(0, MAX_QUOTED)}`
}

function unknownFigures ({ heard, free }: Room, wish: Wish): string {
  if (!heard) return 'no heartbeat yet'
  return free.cpu === null && wish.cpu > 0
    ? `has not told its free cores, ${up(wish.cpu)} asked`
    : `has not told its free memory, ${up(wish.memory)} MB asked`
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

/** The two largest units: "2 min 10 s". */
function duration (ms: number): string {
  const s = Math.floor(ms / 1000)
  const parts: Array<[number, string]> = [[Math.floor(s / 86400), 'd'], [Math.floor(s / 3600) % 24, 'h'], [
    Math.floor(s / 60) % 60,
    'min'
  ], [s % 60, 's']]
  const first = parts.findIndex(([n]) => n > 0)
  return first < 0
    ? '0 s'
    : parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(' ')
}
