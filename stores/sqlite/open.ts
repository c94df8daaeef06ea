import { EventEmitter } from 'node:events'
import type { Store } from '../store.js'
import { createAddressPool } from './addresses.js'
import { backupSocketOf, serveBackups } from './backup.js'
import { createChannelStore } from './channels.js'
import { createClusterStore } from './clusters.js'
import { openConnection, type StoreLog } from './connection.js'
import { createJobStore } from './jobs.js'
import { createLeaseStore } from './leases.js'
import { createOutbox } from './outbox.js'
import { createSubnetStore } from './subnets.js'

/**
 * The embedded store: one SQLite file that belongs to this process alone. What it acknowledged survives kill -9 and a
 * power cut. Throws `store_unavailable`, naming the file, when it cannot be used.
 */
export async function openSqliteStore (options: { file: string, log?: StoreLog }): Promise<Store> {
  const connection = await openConnection(options)
  const outbox = createOutbox(connection)
  // A real write, since a full disk still lets everything be read.
  const probe = connection.prepare('UPDATE counters SET value = value + 1 WHERE name = \'checks\'')
  // The file belongs to this process alone: who held leases before is gone.
  const freeLeases = connection.prepare('UPDATE leases SET expires_at = 0')
  await connection.write(() => {
    freeLeases.run()
  }, { durable: false })
  const endBackups = await serveBackups(backupSocketOf(options.file), connection.backup).catch((err: unknown) => {
    options.log?.warn({ err }, 'no backup can be made while this server runs')
    return async () => {}
  })
  return {
    clusters: createClusterStore(connection),
    jobs: createJobStore(connection, createAddressPool(connection), outbox),
    outbox,
    subnets: createSubnetStore(connection),
    channels: createChannelStore(connection),
    leases: createLeaseStore(connection),
    // Nobody else can open the file.
    notifications: new EventEmitter(),
    unreadable: connection.documents.reported,
    check: () =>
      connection.write(() => {
        probe.run()
      }, { durable: false }),
    close: () => connection.close(endBackups())
  }
}
