import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'

/** A cluster said, shortly ago, that it cannot take the job. */
interface Refusal {
  /** Milliseconds. */
  ago: number
  /** In the cluster's words. */
  error: string
}

/** What one instance of a job asks of the cluster that is to take it. */
export interface Wish {
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
}

/**
 * The instances of a job are alike, so what a cluster refused of one it is not asked for another.
 * @param now Unix milliseconds. @param refusalRestMs For so long a cluster is not asked again.
 */
export function wishOf ({ descriptor, instance_list: instances }: Job, now: number, refusalRestMs: number): Wish {
  const { requirements } = descriptor
  const refusals = new Map<ClusterId, Refusal>()
  for (const instance of instances) {
    if (instance.cluster_id !== '') continue
    for (const { cluster_id: id, at, error } of instance.refusals) {
      const ago = now - Date.parse(at)
      if (ago < refusalRestMs && ago < (refusals.get(id)?.ago ?? Infinity)) refusals.set(id, { ago, error })
    }
  }
  return {
    location: descriptor.cluster_location,
    node: descriptor.node ?? requirements?.node,
    runtime: descriptor.image_runtime,
    cpu: requirements?.cpu ?? 0,
    memory: requirements?.memory ?? 0,
    refusals
  }
}

/** Equal for wishes that every cluster answers alike. */
export function wishKey ({ location, node, runtime, cpu, memory, refusals }: Wish): string {
  return JSON.stringify([location ?? null, node ?? null, runtime, cpu, memory, ...refusals])
}
