import type { Descriptor } from '../../../schemas/descriptor.js'

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
}

export function wishOf (descriptor: Descriptor): Wish {
  const { requirements } = descriptor
  return {
    location: descriptor.cluster_location,
    node: descriptor.node ?? requirements?.node,
    runtime: descriptor.image_runtime,
    cpu: requirements?.cpu ?? 0,
    memory: requirements?.memory ?? 0
  }
}

/** Equal for wishes that every cluster answers alike. */
export function wishKey ({ location, node, runtime, cpu, memory }: Wish): string {
  return JSON.stringify([location ?? null, node ?? null, runtime, cpu, memory])
}
