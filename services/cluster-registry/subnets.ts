import ipaddr from 'ipaddr.js'
import { ApiError } from '../../schemas/errors.js'
import { isIpv4 } from '../../schemas/primitives.js'
import type { Subnet, SubnetStore } from '../../stores/store.js'

/** Subnets of 64 addresses for worker nodes (contract section 2). */
export interface Subnets {
  /**
   * Another subnet with each call. Errors: `subnet_limit` for a remote address that has as many as it may,
   * `subnets_exhausted` at the end of the range.
   */
  take (remoteAddress: string): Promise<string>
  /** Those that are given out, in order, after the subnet `after`. */
  list (query: { after?: string, limit: number }): Promise<Subnet[]>
  /** Takes one back that no worker uses any more. Errors: `address_malformed`, `subnet_not_found`. */
  release (subnet: string): Promise<void>
}

/** @param most Subnets that one remote address may have. */
export function createSubnets (store: SubnetStore, most: number): Subnets {
  return {
    async take (remoteAddress) {
      const address = ipaddr.process(remoteAddress).toString()
      const taken = await store.take(address, most, Date.now())
      if (taken.outcome === 'given') return taken.subnet
      if (taken.outcome === 'exhausted') {
        throw new ApiError('subnets_exhausted', 'All subnets of 172.18.0.0 to 172.29.255.255 are given out', {
          hint: 'DELETE /api/v1/subnets/:subnet takes back one that no worker uses any more'
        })
      }
      throw new ApiError('subnet_limit', `${address} has ${taken.used} subnets, and may have ${most}`, {
        hint: 'DELETE /api/v1/subnets/:subnet takes back one that no worker uses any more; see SUBNETS_PER_ADDRESS'
      })
    },

    async list (query) {
      if (query.after !== undefined) check(query.after)
      return await store.list(query)
    },

    async release (subnet) {
      check(subnet)
      if (await store.release(subnet)) return
      throw new ApiError('subnet_not_found', `The subnet ${subnet} is not given out`, {
        hint: 'GET /api/v1/subnets lists those that are, by their first address'
      })
    }
  }
}

function check (subnet: string): void {
  if (isIpv4(subnet)) return
  throw new ApiError('address_malformed', `${JSON.stringify(subnet)} is not an IPv4 address`, {
    hint: 'A subnet is named by its first address, such as 172.18.0.64'
  })
}
