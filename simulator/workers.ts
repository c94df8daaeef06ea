import type { Heartbeat, Worker } from '../schemas/cluster.js'
import type { CLUSTER_REFUSALS } from '../schemas/status.js'

/** A worker node of a simulated cluster. */
export interface WorkerSpec {
  name: string
  cores: number
  memoryMb: number
  technology: string[]
  /** host_ip of the instances that run there. */
  address: string
}

/** The capacity that one instance takes on a worker. */
export interface Need {
  cpu: number
  memoryMb: number
}

/** The requirements of an instance. */
export interface Requirements {
  need: Need
  technology: string
  /** The only worker allowed. */
  node?: string | undefined
  /** The worker where it runs already: it stays there if that still fits. */
  current?: string | undefined
}

export type Refusal = typeof CLUSTER_REFUSALS[number]

/** The worker nodes of one cluster and their free capacity. */
export interface Workers {
  /** Finds a worker and takes capacity on it. */
  take (requirements: Requirements): { worker: string } | { refusal: Refusal }
  /** Takes capacity on a worker without a check. */
  takeOn (worker: string, need: Need): void
  /** Returns capacity. */
  release (worker: string, need: Need): void
  has (worker: string): boolean
  address (worker: string): string
  readonly count: number
  /** The figures of a heartbeat (contract section 2). */
  figures (): Omit<Heartbeat, 'jobs'>
}

/** Rounding errors of summed fractions of a core stay below this. */
const DUST = 1e-6

export function createWorkers (specs: WorkerSpec[]): Workers {
  const technologies = [...new Set(specs.flatMap(spec => spec.technology))]
  const nodes = new Map(specs.map(spec => [spec.name, { spec, free: { cpu: spec.cores, memoryMb: spec.memoryMb } }]))
  type Node = NonNullable<ReturnType<typeof nodes.get>>

  const fits = ({ free }: Node, need: Need) => free.cpu + DUST >= need.cpu && free.memoryMb + DUST >= need.memoryMb

  function node (name: string): Node {
    const found = nodes.get(name)
    if (!found) throw new Error(`There is no worker ${name}`)
    return found
  }

  function change (name: string, { cpu, memoryMb }: Need, sign: 1 | -1) {
    const { free } = node(name)
    free.cpu += sign * cpu
    free.memoryMb += sign * memoryMb
  }

  return {
    take ({ need, technology, node: pinned, current }) {
      const named = [...nodes.values()].filter(({ spec }) => pinned === undefined || spec.name === pinned)
      if (named.length === 0) return { refusal: 'NO_NODE_FOUND' }
      const qualified = named.filter(({ spec }) => spec.technology.includes(technology))
      if (qualified.length === 0) return { refusal: 'NO_QUALIFIED_WORKER_FOUND' }
      const roomy = qualified.filter(one => fits(one, need))
      // Otherwise the one with most free memory, so that the instances of a service spread.
      const best = roomy.find(({ spec }) => spec.name === current) ??
        roomy.reduce<Node | undefined>(
          (best, one) => best && best.free.memoryMb >= one.free.memoryMb ? best : one,
          undefined
        )
      if (!best) return { refusal: 'NO_WORKER_CAPACITY' }
      change(best.spec.name, need, -1)
      return { worker: best.spec.name }
    },

    takeOn: (worker, need) => change(worker, need, -1),
    release: (worker, need) => change(worker, need, 1),
    has: worker => nodes.has(worker),
    address: worker => node(worker).spec.address,
    count: nodes.size,

    figures () {
      const workers = [...nodes.values()].map(({ spec, free }): Worker => ({
        name: spec.name,
        cpu_cores: tidy(free.cpu),
        memory_in_mb: tidy(free.memoryMb),
        technology: spec.technology
      }))
      const cores = total(specs.map(spec => spec.cores))
      const memory = total(specs.map(spec => spec.memoryMb))
      const freeCores = total(workers.map(worker => worker.cpu_cores))
      const freeMemory = total(workers.map(worker => worker.memory_in_mb))
      return {
        cpu_percent: percentTaken(cores, freeCores),
        memory_percent: percentTaken(memory, freeMemory),
        cpu_cores: freeCores,
        cumulative_memory_in_mb: freeMemory,
        number_of_nodes: nodes.size,
        technology: technologies,
        workers,
        more: null
      }
    }
  }
}

function total (values: number[]): number {
  return tidy(values.reduce((sum, value) => sum + value, 0))
}

function tidy (value: number): number {
  return Math.max(0, Math.round(value / DUST) / (1 / DUST))
}

function percentTaken (all: number, free: number): number {
  return all > 0 ? Math.round((1 - free / all) * 1000) / 10 : 0
}
