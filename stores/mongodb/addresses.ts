import { FIRST_OFFSET, LAST_OFFSET, toAddress, toOffset } from '../address-space.js'
import { inBatches } from './batches.js'
import type { Connection } from './connection.js'
import { createCounter, takeFreed } from './netcache.js'

/**
 * Says which address to try next. It leases nothing: an address belongs to the job whose document names it, by the
 * unique index on them, so that a process may end anywhere and no address is lost or leased twice. What netcache counts
 * and lists is only where to look.
 */
export interface AddressPool {
  /**
   * So many addresses that no job has, and that are not among those about to be claimed; undefined when there are
   * fewer. Two processes may get the same.
   */
  take (request: { count: number, except: ReadonlySet<string> }): Promise<string[] | undefined>
  /** These are free to be taken again. Where that cannot be noted they are found later. */
  giveBack (addresses: string[]): Promise<void>
}

/**
 * Milliseconds between sweeps for addresses that neither a job nor netcache knows of: a process ended before it used
 * them.
 */
const SWEEP_MS = 5_000

/** Lost addresses that one sweep brings back, beyond those that are needed now. */
const SWEEP_SPARE = 1000

export function createAddressPool ({ collections: { jobs, net }, log }: Connection): AddressPool {
  const counter = createCounter(net, 'next_service_ip', toNumbers(FIRST_OFFSET))
  let nextSweep = 0

  /** No address comes a second time while another never came: caches of the clusters may still know it. */
  async function fromCounter (count: number): Promise<string[]> {
    const moved = await counter.advance(ipv4 => {
      const offset = toNextOffset(ipv4)
      return offset <= LAST_OFFSET ? toNumbers(Math.min(offset + count, LAST_OFFSET + 1)) : undefined
    })
    if (!moved) return []
    const first = toNextOffset(moved.from)
    return Array.from({ length: toNextOffset(moved.to) - first }, (_, index) => toAddress(first + index))
  }

  async function fromFreed (count: number): Promise<string[]> {
    return (await takeFreed(net, 'free_service_ip', count)).filter(address => toOffset(address) !== undefined)
  }

  async function fromLost (count: number): Promise<string[]> {
    if (performance.now() < nextSweep) return []
    nextSweep = performance.now() + SWEEP_MS
    const used = new Set(await jobs.distinct('system_manager.addresses'))
    return Array.from({ length: LAST_OFFSET }, (_, index) => toAddress(FIRST_OFFSET + index)).filter(address =>
      !used.has(address)
    ).slice(0, count + SWEEP_SPARE)
  }

  async function withoutUsed (addresses: string[]): Promise<string[]> {
    const holders = await jobs.findMany({ 'system_manager.addresses': { $in: addresses } }, {
      projection: { _id: 0, 'system_manager.addresses': 1 }
    })
    const used = new Set(holders.flatMap(({ system_manager: ours }) => ours?.addresses ?? []))
    return addresses.filter(address => !used.has(address))
  }

  async function giveBack (addresses: string[]): Promise<void> {
    if (addresses.length === 0) return
    try {
      await net.insertMany(
        addresses.map(address => ({ type: 'free_service_ip', ipv4: address.split('.').map(Number) }))
      )
    } catch (err) {
      log.debug({ err }, 'addresses that were given back will be found later')
    }
  }

  async function takeMany (
    all: Array<{ count: number, except: ReadonlySet<string> }>
  ): Promise<Array<string[] | undefined>> {
    const needed = all.reduce((sum, { count }) => sum + count, 0)
    const claimed = [...new Set(all.map(({ except }) => except))]
    const isFree = (address: string) => !claimed.some(those => those.has(address))
    const found = new Set<string>()
    for (const source of [fromCounter, fromFreed, fromLost]) {
      while (found.size < needed) {
        const candidates = await source(needed - found.size)
        if (candidates.length === 0) break
        for (const address of (await withoutUsed(candidates)).filter(isFree)) found.add(address)
      }
    }
    const left = [...found]
    const given = all.map(({ count }) => count <= left.length ? left.splice(0, count) : undefined)
    await giveBack(left)
    return given
  }

  return { take: inBatches(takeMany), giveBack }
}

/** The offset that a counter points to; the original began with that of the network itself. */
function toNextOffset ([, , high = NaN, low = NaN]: number[]): number {
  return Math.max(FIRST_OFFSET, high * 256 + low)
}

function toNumbers (offset: number): number[] {
  return toAddress(offset).split('.').map(Number)
}
