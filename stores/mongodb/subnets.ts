import { SUBNETS, subnetNumber, subnetNumberOf, toSubnet } from '../address-space.js'
import type { Subnet, SubnetOutcome, SubnetStore } from '../store.js'
import { inBatches } from './batches.js'
import type { Connection } from './connection.js'
import { isDuplicateKey } from './failures.js'
import { createCounter } from './netcache.js'

export function createSubnetStore ({ collections: { net, subnets } }: Connection): SubnetStore {
  const counter = createCounter(net, 'next_subnet_ip', toNumbers(toSubnet(0)))

  const take = inBatches(async (asked: Array<{ address: string, most: number, now: number }>) => {
    const used = new Map<string, number>()
    for (const address of new Set(asked.map(each => each.address))) {
      used.set(address, await subnets.countDocuments({ address }))
    }
    const outcomes = new Map<typeof asked[number], SubnetOutcome>()
    const admitted = asked.filter(each => {
      const count = used.get(each.address)!
      if (count >= each.most) outcomes.set(each, { outcome: 'limit', used: count })
      else used.set(each.address, count + 1)
      return count < each.most
    })
    const numbers = await next(admitted.length)
    const given = admitted.slice(0, numbers.length)
    // Noted before they are told: one that nobody got can be seen, and released.
    if (given.length > 0) {
      await subnets.bulkWrite(
        given.map(({ address, now }, index) => ({
          replaceOne: {
            filter: { _id: numbers[index]! },
            replacement: { address, given_at: new Date(now).toISOString() },
            upsert: true
          }
        })),
        { ordered: false }
      )
    }
    for (const [index, each] of admitted.entries()) {
      const number = numbers[index]
      outcomes.set(
        each,
        number === undefined ? { outcome: 'exhausted' } : { outcome: 'given', subnet: toSubnet(number) }
      )
    }
    return asked.map(each => outcomes.get(each)!)
  })

  /** The next ones, up to so many, then those that were given back. */
  async function next (most: number): Promise<number[]> {
    if (most === 0) return []
    const moved = await counter.advance(from => {
      const number = subnetNumber(from)
      return number < SUBNETS ? toNumbers(toSubnet(Math.min(number + most, SUBNETS))) : undefined
    })
    const first = moved ? subnetNumber(moved.from) : SUBNETS
    const end = moved ? subnetNumber(moved.to) : SUBNETS
    const numbers = Array.from({ length: end - first }, (_, index) => first + index)
    while (numbers.length < most) {
      // Whoever deletes it has it.
      const freed = await net.findOneAndDelete({ type: 'free_subnet_ip' }, { sort: { _id: 1 } })
      if (!freed) return numbers
      numbers.push(subnetNumber(freed.ipv4))
    }
    return numbers
  }

  /** Those that are given out from this number on; of those that another program gave out there is no document. */
  async function page (from: number, limit: number): Promise<Subnet[]> {
    const [last] = await net.findMany({ type: 'next_subnet_ip' }, { sort: { _id: 1 }, limit: 1 })
    const freed = new Set((await net.findMany({ type: 'free_subnet_ip' })).map(({ ipv4 }) => subnetNumber(ipv4)))
    const numbers: number[] = []
    for (let number = from; number < (last ? subnetNumber(last.ipv4) : 0) && numbers.length < limit; number++) {
      if (!freed.has(number)) numbers.push(number)
    }
    const noted = new Map((await subnets.findMany({ _id: { $in: numbers } })).map(found => [found._id, found]))
    return numbers.map(number => {
      const { address = null, given_at = null } = noted.get(number) ?? {}
      return { subnet: toSubnet(number), address, given_at }
    })
  }

  return {
    take: (address, most, now) => take({ address, most, now }),

    list: ({ after, limit }) => page(after === undefined ? 0 : (subnetNumberOf(after) ?? SUBNETS) + 1, limit),

    async release (subnet) {
      const number = subnetNumberOf(subnet)
      if (number === undefined || (await page(number, 1))[0]?.subnet !== subnet) return false
      try {
        // Its id is the subnet, so that it is not free twice.
        await net.insertOne({ _id: subnet, type: 'free_subnet_ip', ipv4: toNumbers(subnet) })
      } catch (err) {
        if (!isDuplicateKey(err)) throw err
        return false
      }
      await subnets.deleteOne({ _id: number })
      return true
    }
  }
}

function toNumbers (address: string): number[] {
  return address.split('.').map(Number)
}
