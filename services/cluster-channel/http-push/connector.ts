import { lookup as resolve, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { Networks } from './networks.js'

/** The address of a cluster manager is in none of the networks that may be contacted. */
class AddressRefused extends Error {
  constructor (hostname: string, addresses: string[] = []) {
    super(
      `the address ${hostname}${addresses.length > 0 ? ` (${addresses.join(', ')})` : ''} is in none of ` +
        'CLUSTER_NETWORKS, so it is not contacted'
    )
  }
}

/**
 * Connects to addresses in these networks only. A host name is resolved once: the address that was checked is the one
 * that is connected to, so a name cannot mean another address a moment later.
 */
export function createConnector (networks: Networks, timeoutMs: number): buildConnector.connector {
  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (err, found: LookupAddress[] = []) => {
      const allowed = found.filter(({ address }) => networks.include(address))
      const [first] = allowed
      if (err) callback(err, [])
      else if (!first) callback(new AddressRefused(hostname, found.map(({ address }) => address)), [])
      else if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
  const connect = buildConnector({ timeout: timeoutMs, lookup, port: 0 })

  return (options, callback) => {
    // Node does not look up what is an address already.
    if (isIP(options.hostname) !== 0 && !networks.include(options.hostname)) {
      callback(new AddressRefused(options.hostname), null)
    } else {
      connect(options, callback)
    }
  }
}
