import { SUBNETS, toSubnet } from '../address-space.js'
import type { SubnetStore } from '../store.js'
import type { Connection } from './connection.js'

export function createSubnetStore ({ prepare, write }: Connection): SubnetStore {
  const advance = prepare<{ number: number }>(`
    UPDATE counters SET value = value + 1 WHERE name = 'next_subnet' AND value < ${SUBNETS}
    RETURNING value - 1 AS number`)

  return {
    next: () =>
      write(() => {
        const subnet = advance.get()
        return subnet && toSubnet(subnet.number)
      })
  }
}
