import type { LeaseStore } from '../store.js'
import type { Connection } from './connection.js'

/**
 * The file belongs to one process alone, yet its services ask for leases as they would among several. A lease that
 * lasts longer than any has lasted is of the time before the clock was set back.
 */
export function createLeaseStore ({ prepare, write }: Connection): LeaseStore {
  const acquire = prepare<{ token: number }>(`
    INSERT INTO leases (name, holder, token, expires_at) VALUES (?1, ?2, 1, ?3 + ?4)
    ON CONFLICT (name) DO UPDATE SET
      token = token + (holder <> excluded.holder OR expires_at <= ?3),
      holder = excluded.holder, expires_at = excluded.expires_at
      WHERE holder = excluded.holder OR expires_at <= ?3 OR expires_at > ?3 + ?4
    RETURNING token`)
  const release = prepare('UPDATE leases SET expires_at = 0 WHERE name = ? AND holder = ?')

  return {
    acquire: (name, holder, ttlMs) =>
      write(() => acquire.get(name, holder, Date.now(), ttlMs)?.token, { durable: false }),
    release: (name, holder) =>
      write(() => {
        release.run(name, holder)
      }, { durable: false })
  }
}
