import type { ClusterId } from '../../../schemas/cluster.js'
import type { Instance, Job } from '../../../schemas/job.js'
import { isUnplaced, requirementsOf } from '../../../schemas/job-facts.js'

/** A cluster said, shortly ago, that it cannot take the job. */
interface Refusal {
  /** Milliseconds. */
  ago: number
  /** In the cluster's words. */
  error: string
}

/** What one instance of a job asks of the cluster that is to take it. */
export interface PlacementRequest {
  /** A cluster's location or name; undefined: any cluster will do. */
  location: string | undefined
  /** Worker node that has to run it. */
  node: string | undefined
  /** Technology that has to be on offer. */
  runtime: string
  /** Cores; 0 asks nothing. */
  cpu: number
  /** MB; 0 asks nothing. */
  memory: number
  /** Clusters that are not to be asked again yet. */
  refusals: ReadonlyMap<ClusterId, Refusal>
  /** Clusters that must not have it now, and why. */
  excluded: ReadonlyMap<ClusterId, string>
}

/** Instances of a job that ask for the same. */
export interface RequestGroup {
  request: PlacementRequest
  /** Instance numbers, rising. */
  numbers: number[]
}

/** After several refusals a cluster is asked again no later than this, ms. */
const LONGEST_REST_MS = 1_800_000

/**
 * What the instances of a job that have no cluster ask for. They are alike but for where a move sends them, so what a
 * cluster refused of one it is not asked for another. Each further refusal doubles the time that it is left alone.
 * @param now Unix milliseconds. @param refusalRestMs For so long a cluster is not asked again after its first refusal.
 */
export function requestsOf (job: Job, now: number, refusalRestMs: number): RequestGroup[] {
  const { descriptor } = job
  const { requirements } = descriptor
  const waiting = job.instance_list.filter(isUnplaced)
  const refusals = refusalsOf(waiting, now, refusalRestMs)
  const removing = job.retiring.map((
    { cluster_id: id }
  ): [ClusterId, string] => [id, 'still has to remove an earlier instance of it'])

  const groups = new Map<string, RequestGroup>()
  for (const { instance_number: number, location, move } of waiting) {
    const key = `${location ?? ''} ${location === null} ${move?.from ?? ''}`
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
        ...requirementsOf(descriptor),
        refusals,
        excluded: new Map(move ? [...removing, [move.from, 'is what it moves away from']] : removing)
      }
    })
  }
  for (const { numbers } of groups.values()) numbers.sort((a, b) => a - b)
  return [...groups.values()]
}

function refusalsOf (instances: Instance[], now: number, restMs: number): Map<ClusterId, Refusal> {
  const newest = new Map<ClusterId, Refusal & { times: number }>()
  for (const { refusals } of instances) {
    for (const { cluster_id: id, at, error } of refusals) {
      const ago = now - Date.parse(at)
      const known = newest.get(id)
      newest.set(id, { ...(known && known.ago <= ago ? known : { ago, error }), times: (known?.times ?? 0) + 1 })
    }
  }
  return new Map(
    [...newest].filter(([, { ago, times }]) =>
      ago < Math.min(LONGEST_REST_MS, restMs * 2 ** ((times - 1) / instances.length | 0))
    )
  )
}

/** Equal for wishes that every cluster answers alike. */
export function requestKey ({ location, node, runtime, cpu, memory, refusals, excluded }: PlacementRequest): string {
  return JSON.stringify([location ?? null, node ?? null, runtime, cpu, memory, [...refusals], [...excluded]])
}
