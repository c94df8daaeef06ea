import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Networks } from './networks.js'

/** Milliseconds that a name has to resolve. */
const LOOKUP_MS = 1000

/**
 * Why the manager of a cluster may not be called at this address, without a subject; undefined where nothing is known
 * against it. A name that does not resolve now may do so later: each call checks its address again.
 */
export async function addressRefusal (networks: Networks, address: string): Promise<string | undefined> {
  const foreign = 'is in none of CLUSTER_NETWORKS'
  if (isIP(address) !== 0) return networks.include(address) ? undefined : `${address} ${foreign}`
  if (!/^[\w.-]+$/.test(address)) return `${JSON.stringify(address)} is neither an address nor a host name`
  const found = await Promise.race([
    lookup(address, { all: true }).catch(() => []),
    sleep(LOOKUP_MS, [], { ref: false })
  ])
  const isForeign = found.length > 0 && !found.some(each => networks.include(each.address))
  return isForeign ? `${address} ${foreign}` : undefined
}
