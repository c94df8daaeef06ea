import ipaddr from 'ipaddr.js'
import { ConfigError } from '../../../plugins/config.js'

/** The networks that cluster managers may be in. */
export interface Networks {
  /** True for an IP address in one of them. An IPv4 address written as IPv6 is judged as what it is. */
  include (address: string): boolean
}

/**
 * Reads CLUSTER_NETWORKS, a list in CIDR notation separated by commas; "!" excludes a network from the others. Throws
 * {@link ConfigError} for what is none.
 */
export function readNetworks (list: string): Networks {
  const networks = list.split(',').map(entry => entry.trim()).filter(entry => entry !== '').map(entry => {
    try {
      const [network, bits] = ipaddr.parseCIDR(entry.replace(/^! */, ''))
      return { network, bits, isExcluded: entry.startsWith('!') }
    } catch {
      throw new ConfigError(
        `CLUSTER_NETWORKS=${list} cannot be used: "${entry}" is not a network. Expected the form 10.0.0.0/8 or ` +
          'fd00::/8, several separated by commas, and "!" before one that is excluded'
      )
    }
  })
  return {
    include (address) {
      if (!ipaddr.isValid(address)) return false
      const ip = ipaddr.process(address)
      const found = networks.filter(({ network, bits }) => network.kind() === ip.kind() && ip.match(network, bits))
      return found.length > 0 && !found.some(({ isExcluded }) => isExcluded)
    }
  }
}
