import { SUBNETS, subnetNumber, toSubnet } from '../address-space.js'
import type { SubnetStore } from '../store.js'
import { inBatches } from './batches.js'
import type { Connection } from './connection.js'
import { createCounter } from './netcache.js'

export function createSubnetStore ({ collections: { net } }: Connection): SubnetStore {
  const counter = createCounter(net, 'next_subnet_ip', toNumbers(toSubnet(0)))

  const next = inBatches(async (asked: undefined[]) => {
    const moved = await counter.advance(from => {
      const number = subnetNumber(from)
      return number < SUBNETS ? toNumbers(toSubnet(Math.min(number + asked.length, SUBNETS))) : undefined
    })
    const first = moved ? subnetNumber(moved.from) : SUBNETS
    const end = moved ? subnetNumber(moved.to) : SUBNETS
    return Promise.all(asked.map(async (_, index) => first + index < end ? toSubnet(first + index) : await takeFreed()))
  })

  /** One that the original gave back; whoever deletes it has it. */
  async function takeFreed (): Promise<string | undefined> {
    return (await net.findOneAndDelete({ type: 'free_subnet_ip' }, { sort: { _id: 1 } }))?.ipv4.join('.')
  }

  return {
    next: () => next(undefined)
  }
}

function toNumbers (address: string): number[] {
  return address.split('.').map(Number)
}
