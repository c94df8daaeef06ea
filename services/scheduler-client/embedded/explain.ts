import { MAX_VERDICTS, type ClusterVerdict } from '../../../schemas/job.js'
import { count } from '../../../schemas/wording.js'
import type { PlacementFailure } from '../../../schemas/status.js'
import { STOPPED_BY } from './feasibility.js'
import { createRanking, type Ranked, type Ranking } from './ranking.js'
import type { Free, ClusterCapacity, Capacities } from './capacity.js'
import { freeSentence, shortfall } from './sentences.js'
import type { PlacementRequest } from './placement-request.js'

/** A cluster that got instances of a job, with its figures from before the first of them. */
export interface Chosen {
  capacity: ClusterCapacity
  score: number
  free: Free
  /** Instances of the job that it had before. */
  sameJob: number
  /** Instances it got now. */
  took: number
}

/** Why no cluster can take another instance with a certain request. */
export interface DeadEnd {
  /** Undefined: nothing is decided, because a cluster that may fit has not reported its figures. */
  failure: PlacementFailure | undefined
  /** One sentence. */
  summary: string
  /** The nearest to fitting first. */
  verdicts: ClusterVerdict[]
}

/** Most clusters named in a summary. */
const MAX_NAMED = 5

/**
 * @param scope The clusters at the requested location.
 * @param stopped The same clusters, each with its feasibility (see feasibility.ts) as score. Takes ownership of it.
 */
export function explainDeadEnd (
  request: PlacementRequest,
  capacities: Capacities,
  scope: ClusterCapacity[],
  stopped: Ranked[]
): DeadEnd {
  const unknown = stopped.filter(({ score }) => score === STOPPED_BY.unknown).length
  const anyAlive = scope.some(({ alive }) => alive)
  const ranking = createRanking(stopped)
  return {
    failure: unknown > 0 ? undefined : failureOf(request, scope, anyAlive),
    summary: deadEndSummary(request, capacities, scope, anyAlive, ranking.first()?.capacity, unknown),
    verdicts: stoppedVerdicts(ranking, request, capacities, MAX_VERDICTS)
  }
}

/**
 * Verdicts for a job whose instances all found room: the chosen clusters, then the others that fit, by score, then
 * those that do not, the nearest to fitting first.
 */
export function placedVerdicts (
  chosen: Chosen[],
  fitting: Ranking,
  sameJob: (capacity: ClusterCapacity) => number,
  stopped: Ranking,
  request: PlacementRequest,
  capacities: Capacities
): ClusterVerdict[] {
  const verdicts = chosen.slice(0, MAX_VERDICTS).map(({ capacity, score, free, took, sameJob }) =>
    verdict(
      capacity,
      score,
      `${took === 1 ? 'chosen' : `chosen for ${took} instances`}, ${freeSentence(free)}${alreadyThere(sameJob)}`
    )
  )
  const taken = new Set(chosen.map(({ capacity }) => capacity))
  while (verdicts.length < MAX_VERDICTS) {
    const entry = fitting.next()
    if (!entry) break
    if (!taken.has(entry.capacity)) {
      verdicts.push(
        verdict(
          entry.capacity,
          entry.score,
          `fits, ${freeSentence(entry.capacity.free)}${alreadyThere(sameJob(entry.capacity))}`
        )
      )
    }
  }
  return [...verdicts, ...stoppedVerdicts(stopped, request, capacities, MAX_VERDICTS - verdicts.length)]
}

/**
 * Verdicts for a job of which some instances found no room, as the first of those saw the clusters. The clusters that
 * took the others come first.
 */
export function partlyPlacedVerdicts (chosen: Chosen[], deadEnd: DeadEnd, request: PlacementRequest): ClusterVerdict[] {
  const taken = new Set(chosen.map(({ capacity }) => capacity.id))
  return [
    ...chosen.map(({ capacity, took }) =>
      verdict(capacity, null, `took ${count(took, 'instance')}, now ${shortfall(capacity, request)}`)
    ),
    ...deadEnd.verdicts.filter(({ cluster_id: id }) => !taken.has(id))
  ].slice(0, MAX_VERDICTS)
}

/** "placed on hpi", "placed 3 instances: 2 on hpi, 1 on tum". @param chosen At least one. */
export function placedSummary (chosen: Chosen[], instances: number): string {
  if (chosen.length === 1) {
    const { name } = chosen[0]!.capacity
    return instances === 1 ? `placed on ${name}` : `placed ${instances} instances on ${name}`
  }
  const named = chosen.slice(0, MAX_NAMED).map(({ capacity, took }) => `${took} on ${capacity.name}`).join(', ')
  const more = chosen.length - MAX_NAMED
  return `placed ${instances} instances: ${named}${more > 0 ? `, the others on ${count(more, 'more cluster')}` : ''}`
}

/** Contract section 4. */
function failureOf (request: PlacementRequest, scope: ClusterCapacity[], anyAlive: boolean): PlacementFailure {
  if (request.location === undefined) return 'NoActiveClusterWithCapacity'
  if (scope.length === 0) return 'TargetClusterNotFound'
  return anyAlive ? 'TargetClusterNoCapacity' : 'TargetClusterNotActive'
}

function deadEndSummary (
  request: PlacementRequest,
  capacities: Capacities,
  scope: ClusterCapacity[],
  anyAlive: boolean,
  nearest: ClusterCapacity | undefined,
  unknown: number
): string {
  if (!nearest) {
    return capacities.all.length === 0
      ? 'no cluster is registered'
      : `no cluster named ${request.location} is registered`
  }
  if (unknown > 1) return `waiting for the figures of ${nearest.name} and ${count(unknown - 1, 'more cluster')}`
  if (unknown === 1) return `waiting for the figures of ${nearest.name}: ${shortfall(nearest, request)}`
  const reason = `${nearest.name}: ${shortfall(nearest, request)}`
  if (scope.length === 1) return reason
  const clusters = `none of the ${scope.length} ` +
    `clusters${request.location === undefined ? '' : ` at ${request.location}`}`
  return anyAlive ? `${clusters} can take it; nearest is ${reason}` : `${clusters} is alive; one is ${reason}`
}

/** Verdicts on clusters at the requested location, then on those elsewhere: alive before silent, in order of id. */
function stoppedVerdicts (
  ranking: Ranking,
  request: PlacementRequest,
  capacities: Capacities,
  most: number
): ClusterVerdict[] {
  const verdicts: ClusterVerdict[] = []
  const add = (capacity: ClusterCapacity) => verdicts.push(verdict(capacity, null, shortfall(capacity, request)))
  while (verdicts.length < most) {
    const entry = ranking.next()
    if (!entry) break
    add(entry.capacity)
  }
  if (request.location === undefined) return verdicts
  for (const alive of [true, false]) {
    for (const capacity of capacities.all) {
      if (verdicts.length >= most) return verdicts
      const isElsewhere = capacity.location !== request.location && capacity.name !== request.location
      if (isElsewhere && capacity.alive === alive) add(capacity)
    }
  }
  return verdicts
}

function verdict ({ id, name }: ClusterCapacity, score: number | null, reason: string): ClusterVerdict {
  return {
    cluster_id: id,
    cluster_name: name,
    fits: score !== null,
    score: score === null ? null : Math.round(score * 1000) / 1000,
    reason: `${name}: ${reason}`
  }
}

function alreadyThere (sameJob: number): string {
  return sameJob === 0 ? '' : `, has ${count(sameJob, 'instance')} of this job already`
}
