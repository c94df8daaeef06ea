import type { SubnetStore } from '../store.js'
import type { Connection } from './connection.js'

/** Subnets of 64 addresses from 172.18.0.0 up to 172.29.255.192; 172.30.0.0/16 is for services and instances. */
const SUBNET_SIZE = 64
const FIRST_NETWORK = 18
const SUBNETS = (30 - FIRST_NETWORK) * 65536 / SUBNET_SIZE

export function createSubnetStore ({ prepare, write }: Connection): SubnetStore {
  const advance = prepare<{ number: number }>(`
    UPDATE counters SET value = value + 1 WHERE name = 'next_subnet' AND value < ${SUBNETS} RETURNING value - 1 AS number`)

  return {
    next: () => write(() => {
      const subnet = advance.get()
      if (!subnet) return undefined
      const offset = subnet.number * SUBNET_SIZE
      return `172.${FIRST_NETWORK + (offset >> 16)}.${offset >> 8 & 255}.${offset & 255}`
    })
  }
}
