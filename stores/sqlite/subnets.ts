import { SUBNETS, subnetNumberOf, toSubnet } from '../address-space.js'
import type { SubnetStore } from '../store.js'
import type { Connection } from './connection.js'

export function createSubnetStore ({ prepare, read, write }: Connection): SubnetStore {
  const advance = prepare<{ number: number }>(`
    UPDATE counters SET value = value + 1 WHERE name = 'next_subnet' AND value < ${SUBNETS}
    RETURNING value - 1 AS number`)
  const takeFreed = prepare<{ number: number }>(`
    DELETE FROM freed_subnets WHERE turn = (SELECT min(turn) FROM freed_subnets) RETURNING number`)
  const count = prepare<{ used: number }>('SELECT count(*) AS used FROM subnets WHERE address = ?')
  const note = prepare('INSERT INTO subnets (number, address, given_at) VALUES (?, ?, ?)')
  // Of those that an earlier version gave out there is no row.
  const selectPage = prepare<{ number: number, address: string | null, given_at: string | null }>(`
    WITH RECURSIVE given (number) AS (
      SELECT ?1 UNION ALL SELECT number + 1 FROM given
      WHERE number + 1 < (SELECT value FROM counters WHERE name = 'next_subnet'))
    SELECT number, address, given_at FROM given LEFT JOIN subnets USING (number)
    WHERE number < (SELECT value FROM counters WHERE name = 'next_subnet')
      AND number NOT IN (SELECT number FROM freed_subnets)
    LIMIT ?2`)
  const free = prepare('INSERT INTO freed_subnets (number) VALUES (?)')
  const forget = prepare('DELETE FROM subnets WHERE number = ?')

  const page = (from: number, limit: number) =>
    selectPage.all(from, limit).map(({ number, ...rest }) => ({ subnet: toSubnet(number), ...rest }))

  return {
    take: (address, most, now) =>
      write(() => {
        const { used } = count.get(address)!
        if (used >= most) return { outcome: 'limit', used }
        const found = advance.get() ?? takeFreed.get()
        if (!found) return { outcome: 'exhausted' }
        note.run(found.number, address, new Date(now).toISOString())
        return { outcome: 'given', subnet: toSubnet(found.number) }
      }),

    list: ({ after, limit }) =>
      read(() => page(after === undefined ? 0 : (subnetNumberOf(after) ?? SUBNETS) + 1, limit)),

    release: subnet =>
      write(() => {
        const number = subnetNumberOf(subnet)
        if (number === undefined || page(number, 1)[0]?.subnet !== subnet) return false
        forget.run(number)
        free.run(number)
        return true
      })
  }
}
