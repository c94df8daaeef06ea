import type { ClusterId } from '../../../schemas/cluster.js'
import { HAS_ITS_ONE, REFUSAL_BACKOFF_MS } from '../../../schemas/cluster-facts.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { ClusterVerdict, Explanation, Job } from '../../../schemas/job.js'
import type { PlacementFailure } from '../../../schemas/status.js'
import type { HostPortUse } from '../../../stores/store.js'
import type { Assignment, Candidate, PlacementDecision } from '../scheduler.js'
import {
  explainDeadEnd,
  partlyPlacedVerdicts,
  placedSummary,
  placedVerdicts,
  type Chosen,
  type DeadEnd
} from './explain.js'
import { FITS, feasibility, feasibilityOfWorker } from './feasibility.js'
import { createRanking, type Ranked } from './ranking.js'
import { createCapacities, type ClusterCapacity, type WorkerCapacity } from './capacity.js'
import { bestOf, scoreOf } from './score.js'
import { requestsOf, requestKey, type PlacementRequest, type RequestGroup } from './placement-request.js'

/** Decisions about jobs over one set of clusters. Each leaves less room for the next. */
interface Pass {
  /**
   * Finds clusters for the job's unplaced instances, in order of instance number. All that fit are placed; the others
   * fail together, or wait when a cluster that may fit has not reported its figures (then `failure` is absent).
   *
   * The explanation shows the clusters as the first unplaced instance saw them or, where some found no room, as the
   * first of those saw them. Once a request has found no room, later jobs with the same request get the same
   * explanation: room only shrinks within a pass.
   * @throws TypeError when the job is not what its type promises; the pass goes on with the next one.
   */
  decide (job: Job): PlacementDecision
}

interface PassOptions {
  /** Unix milliseconds. */
  now: number
  /** Milliseconds of silence after which a cluster is inactive (contract section 4). */
  graceMs: number
  /** How many instances take a host port, per cluster and port. Default none. */
  hostPorts?: readonly HostPortUse[]
  /** Milliseconds that a cluster is left alone after it refused a job for the first time. */
  refusalBackoffMs?: number
}

/** Starts a pass over all clusters, active or not. Changes neither `candidates` nor the jobs. */
export function createPass (
  candidates: Candidate[],
  { now, graceMs, hostPorts = [], refusalBackoffMs = REFUSAL_BACKOFF_MS }: PassOptions
): Pass {
  const capacities = createCapacities(candidates, now, graceMs)
  for (const { cluster_id: id, host_port: ports, instances } of hostPorts) {
    for (const port of ports.split(';')) occupy(capacities.byId(id), port, instances)
  }
  const deadEnds = new Map<string, DeadEnd>()

  function explanation (outcome: Explanation['outcome'], summary: string, clusters: ClusterVerdict[]): Explanation {
    return {
      decided_at: new Date(now).toISOString(),
      outcome,
      summary,
      clusters,
      omitted: capacities.all.length - clusters.length
    }
  }

  /** Remembers why no cluster can take this request any more. */
  function deadEnd (key: string, request: PlacementRequest): DeadEnd {
    const scope = capacities.at(request.location)
    const end = explainDeadEnd(
      request,
      capacities,
      scope,
      scope.map(capacity => ({ capacity, score: feasibility(capacity, request) }))
    )
    deadEnds.set(key, end)
    return end
  }

  function noRoom ({ failure, summary, verdicts }: DeadEnd): PlacementDecision {
    const outcome = failure ? 'unplaceable' : 'waiting'
    const said = explanation(outcome, summary, [...verdicts])
    return failure ? { kind: 'unplaceable', failure, explanation: said } : { kind: 'waiting', explanation: said }
  }

  /**
   * For instances with the same request.
   * @param before How many instances of the job each cluster has; those of this group are added.
   */
  function decideGroup (
    group: RequestGroup,
    before: Map<ClusterId, number>,
    policy: Descriptor['placement']
  ): PlacementDecision {
    const { numbers: unplaced } = group
    const request = withoutFull(group.request, before, capacities.originals)
    const known = deadEnds.get(requestKey(request))
    if (known) return noRoom(known)

    const { fitting, stopped } = survey(capacities.at(request.location), request)
    const counts = new Map(before)
    const sameJob = (capacity: ClusterCapacity) => counts.get(capacity.id) ?? 0
    const best = bestOf(fitting)
    const ranking = createRanking(
      fitting.map(capacity => ({ capacity, score: scoreOf(capacity, request, best, sameJob(capacity), policy) }))
    )
    const chosen = new Map<ClusterCapacity, Chosen>()
    const assignments: Assignment[] = []
    for (const number of unplaced) {
      const next = ranking.next()
      if (!next) break
      const { capacity, score } = next
      const choice = chosen.get(capacity) ??
        { capacity, score, free: { ...capacity.free }, sameJob: sameJob(capacity), took: 0 }
      choice.took++
      chosen.set(capacity, choice)
      take(capacity, request)
      const { id, original, offer } = capacity
      assignments.push({ instance_number: number, cluster_id: id, original, offered: offer })
      if (!capacity.original && feasibility(capacity, request) === FITS) {
        ranking.add({ capacity, score: scoreOf(capacity, request, best, choice.sameJob + choice.took, policy) })
      }
    }

    const choices = [...chosen.values()]
    for (const { capacity, took } of choices) before.set(capacity.id, (before.get(capacity.id) ?? 0) + took)
    if (assignments.length === unplaced.length) {
      const verdicts = placedVerdicts(choices, ranking, sameJob, createRanking(stopped), request, capacities)
      return {
        kind: 'placed',
        assignments,
        explanation: explanation('placed', placedSummary(choices, assignments.length), verdicts)
      }
    }
    const rest = withoutFull(group.request, before, capacities.originals)
    const end = deadEnd(requestKey(rest), rest)
    if (assignments.length === 0) return noRoom(end)
    const summary = `placed ${assignments.length} of ${unplaced.length} instances; ${end.summary}`
    return {
      kind: 'placed',
      assignments,
      explanation: explanation('placed', summary, partlyPlacedVerdicts(choices, end, rest)),
      ...end.failure && { failure: end.failure }
    }
  }

  return {
    decide (job) {
      const before = instancesPerCluster(job)
      const { placement: policy } = job.descriptor
      const decisions = requestsOf(job, now, refusalBackoffMs).map(group => decideGroup(group, before, policy))
      return decisions.length > 0
        ? together(decisions)
        : {
            kind: 'placed',
            assignments: [],
            explanation: explanation('placed', 'every instance has a cluster already', [])
          }
    }
  }
}

/** One decision from those about groups with different requests, with the verdicts of the first that failed. */
function together (decisions: PlacementDecision[]): PlacementDecision {
  const assignments = decisions.flatMap(decision => decision.kind === 'placed' ? decision.assignments : [])
  const first = decisions.find(failureOf) ?? decisions.find(({ kind }) => kind === 'waiting') ?? decisions[0]!
  const summary = [...new Set(decisions.map(({ explanation }) => explanation.summary))].join('; ')
  const explanation = { ...first.explanation, summary }
  if (assignments.length === 0) return { ...first, explanation }
  const failure = failureOf(first)
  return { kind: 'placed', assignments, explanation: { ...explanation, outcome: 'placed' }, ...failure && { failure } }
}

function failureOf (decision: PlacementDecision): PlacementFailure | undefined {
  return decision.kind === 'waiting' ? undefined : decision.failure
}

/** Sorts the clusters by whether they fit. `stopped` has their feasibility as score. */
function survey (
  scope: ClusterCapacity[],
  request: PlacementRequest
): { fitting: ClusterCapacity[], stopped: Ranked[] } {
  const fitting: ClusterCapacity[] = []
  const stopped: Ranked[] = []
  for (const capacity of scope) {
    const score = feasibility(capacity, request)
    if (score === FITS) fitting.push(capacity)
    else stopped.push({ capacity, score })
  }
  return { fitting, stopped }
}

/**
 * Takes what one instance asks for off a cluster that fits. Of the workers that fit, the one with the most cores left
 * bears it; among equals, the one with the most memory left.
 */
function take (capacity: ClusterCapacity, request: PlacementRequest): void {
  for (const port of request.hostPorts) occupy(capacity, port, 1)
  let bearer: WorkerCapacity | undefined
  for (const worker of capacity.workers) {
    if (feasibilityOfWorker(worker, request) !== FITS) continue
    if (!bearer || hasMoreRoom(worker, bearer)) bearer = worker
  }
  for (const { free } of bearer ? [capacity, bearer] : [capacity]) {
    if (free.cpu !== null) free.cpu -= request.cpu
    if (free.memory !== null) free.memory -= request.memory
  }
}

function occupy (capacity: ClusterCapacity | undefined, port: string, instances: number): void {
  capacity?.ports.set(port, (capacity.ports.get(port) ?? 0) + instances)
}

function hasMoreRoom ({ free: a }: WorkerCapacity, { free: b }: WorkerCapacity): boolean {
  return a.cpu > b.cpu || (a.cpu === b.cpu && a.memory > b.memory)
}

/** How many instances of the job each cluster has. */
function instancesPerCluster (job: Job): Map<ClusterId, number> {
  const counts = new Map<ClusterId, number>()
  for (const { cluster_id: id } of job.instance_list) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** An original cluster that has an instance of the job is excluded: it takes no second one (contract section 10). */
function withoutFull (
  request: PlacementRequest,
  counts: ReadonlyMap<ClusterId, number>,
  originals: ReadonlySet<ClusterId>
): PlacementRequest {
  const full = [...counts.keys()].filter(id => originals.has(id) && !request.excluded.has(id))
  if (full.length === 0) return request
  const excluded = new Map([...request.excluded, ...full.map((id): [ClusterId, string] => [id, HAS_ITS_ONE])])
  return { ...request, excluded }
}
