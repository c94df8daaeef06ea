import type { ClusterId } from '../../../schemas/cluster.js'
import type { Instance, Job, Offer } from '../../../schemas/job.js'
import { hostPortsOf, isUnplaced, requirementsOf, type Resources } from '../../../schemas/job-facts.js'
import { toFigure } from './capacity.js'

/** The newest time that a cluster refused an instance of the job. */
export interface Refusal {
  /** When, and until when the cluster is left alone for it. Unix milliseconds. */
  at: number
  until: number
  /** What it had free then. */
  offered: Offer | null
  /** In the cluster's words. */
  error: string
}

/** What one instance of a job asks of a cluster. */
export interface PlacementRequest {
  /** Location or name of the cluster; undefined: any cluster will do. */
  location: string | undefined
  /** Worker node that has to run it; undefined: any. */
  node: string | undefined
  /** Technology that the cluster, and the worker, must offer. */
  runtime: string
  /** Cores; 0 asks nothing. */
  cpu: number
  /** MB; 0 asks nothing. */
  memory: number
  /** Ports of the worker that it takes, "8080/tcp". */
  hostPorts: readonly string[]
  /** Clusters that refused it too recently to be tried again. */
  refusals: ReadonlyMap<ClusterId, Refusal>
  /** Clusters that must not get it now, and why: "still has to remove an earlier instance of it". */
  excluded: ReadonlyMap<ClusterId, string>
}

/** Instances of a job with the same request. */
export interface RequestGroup {
  request: PlacementRequest
  /** Instance numbers, rising. */
  numbers: number[]
}

/** Longest time that a cluster is left alone after refusals, ms. */
const LONGEST_BACKOFF_MS = 1_800_000

/**
 * What the unplaced instances of a job ask for. They differ only in where a move sends them, so a cluster that refused
 * one of them gets none of the others either. Each further refusal doubles the time that it is left alone.
 * @param now Unix milliseconds.
 * @param refusalBackoffMs How long a cluster is left alone after its first refusal.
 * @throws TypeError when the requirements are no numbers: a database that another program filled may hold anything.
 */
export function requestsOf (job: Job, now: number, refusalBackoffMs: number): RequestGroup[] {
  const { descriptor } = job
  const { requirements } = descriptor
  const waiting = job.instance_list.filter(isUnplaced).sort((a, b) => a.instance_number - b.instance_number)
  const resources = numbersOf(requirementsOf(descriptor))
  const refusals = refusalsOf(waiting, now, refusalBackoffMs)
  const removing = job.retiring.map(({ cluster_id: id }): [ClusterId, string] =>
    [id, 'still has to remove an earlier instance of it'])

  const groups = new Map<string, RequestGroup>()
  for (const { instance_number: number, location, move } of waiting) {
    const key = JSON.stringify([location, move?.from])
    const known = groups.get(key)
    if (known) {
      known.numbers.push(number)
      continue
    }
    groups.set(key, {
      numbers: [number],
      request: {
        location: (location ?? descriptor.cluster_location) || undefined,
        // Another place has other worker nodes.
        node: location === null ? descriptor.node ?? requirements?.node : undefined,
        runtime: descriptor.image_runtime,
        ...resources,
        hostPorts: hostPortsOf(descriptor),
        refusals,
        excluded: new Map(move ? [...removing, [move.from, 'the instance is moving away from it']] : removing)
      }
    })
  }
  return [...groups.values()]
}

function numbersOf ({ cpu, memory }: Resources): Resources {
  const number = (field: keyof Resources, value: unknown) => {
    const n = toFigure(value)
    if (n !== null && n >= 0) return n
    throw new TypeError(`requirements.${field}: expected a number of at least 0, got ${JSON.stringify(value)}`)
  }
  return { cpu: number('cpu', cpu), memory: number('memory', memory) }
}

/** Of each cluster that refused an instance and is still left alone for it, the newest refusal. */
function refusalsOf (instances: Instance[], now: number, backoffMs: number): Map<ClusterId, Refusal> {
  const newest = new Map<ClusterId, { last: Instance['refusals'][number], times: number }>()
  for (const refusal of instances.flatMap(({ refusals }) => refusals)) {
    const { last, times } = newest.get(refusal.cluster_id) ?? { last: refusal, times: 0 }
    newest.set(refusal.cluster_id, { last: refusal.at >= last.at ? refusal : last, times: times + 1 })
  }
  const found = [...newest].map(([id, { last, times }]): [ClusterId, Refusal] => {
    const at = Date.parse(last.at)
    const doublings = (times - 1) / instances.length | 0
    const until = at + Math.min(LONGEST_BACKOFF_MS, backoffMs * 2 ** doublings)
    return [id, { at, until, offered: last.offered ?? null, error: last.error }]
  })
  // One of the future was noted before the clock was set back.
  return new Map(found.filter(([, { at, until }]) => now < until && at <= now))
}

/** Equal for requests that every cluster answers alike. */
export function requestKey (request: PlacementRequest): string {
  const { location, node, runtime, cpu, memory, hostPorts, refusals, excluded } = request
  return JSON.stringify([location, node, runtime, cpu, memory, hostPorts, [...refusals], [...excluded]])
}
