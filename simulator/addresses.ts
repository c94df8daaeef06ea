import { createHash } from 'node:crypto'

/** The addresses of a simulated cluster: those of its containers and of its workers. */
export interface ClusterAddresses {
  /** An address from the cluster's 10.x.0.0/16, a free one as long as there are at most 65 534 containers. */
  lease (): string
  /** Marks an address as taken, after a restart. */
  claim (address: string): void
  release (address: string): void
  /** Address of the worker with this index. */
  worker (index: number): string
}

const LAST = 0xfffe

/** The cluster name determines the range, so that it stays the same after a restart. */
export function createClusterAddresses (clusterName: string): ClusterAddresses {
  const range = createHash('sha256').update(clusterName).digest()[0] ?? 0
  const taken = new Set<string>()
  let last = 0

  function next (): string {
    last = last % LAST + 1
    return `10.${range}.${last >> 8}.${last & 0xff}`
  }

  return {
    lease () {
      // Rising, instead of the lowest free one: a late message must not reach a new owner of its address.
      let address = next()
      while (taken.has(address) && taken.size < LAST) address = next()
      taken.add(address)
      return address
    },
    claim: address => {
      taken.add(address)
    },
    release: address => {
      taken.delete(address)
    },
    worker: index => `192.168.${(range + Math.floor(index / 250)) % 256}.${index % 250 + 1}`
  }
}
