import type { MongoClient } from 'mongodb'
import type { StartLoop } from '../../background/loop.js'
import type { Store } from '../store.js'
import { createAddressPool } from './addresses.js'
import { createChannelStore } from './channels.js'
import { onceAnswered } from './client.js'
import { createClusterStore } from './clusters.js'
import { collectionsOf, createIndexes, type Collections } from './collections.js'
import { createConnection, type StoreLog } from './connection.js'
import { createJobCommit } from './job-commit.js'
import { createJobStore } from './jobs.js'
import { createLeaseStore } from './leases.js'
import { createNotifications } from './notifications.js'
import { createOutbox } from './outbox.js'
import { createRelay } from './relay.js'
import { createSubnetStore } from './subnets.js'
import { createMaintenance } from './maintenance.js'

/**
 * The store in MongoDB, which several System Managers may share. docs/database.md describes its collections.
 * The client becomes the store's own: it is closed with it. Throws `store_unavailable` when the database has not
 * answered after `waitMs`, or holds what contradicts a unique index.
 */
export async function openMongoStore (
  { client, waitMs, answerMs, startLoop, log }: {
    client: MongoClient
    waitMs: number
    /** Milliseconds after which a statement fails that has not been answered; 1500 when not given. */
    answerMs?: number
    startLoop: StartLoop
    log: StoreLog
  }
): Promise<Store> {
  const connection = createConnection(client, log, answerMs)
  const notifications = createNotifications(connection)
  const outbox = createOutbox(connection)
  const relay = createRelay(connection, outbox)
  const commit = createJobCommit(connection, createAddressPool(connection), notifications)
  const maintenance = createMaintenance(connection, { commit, relay, outbox, notifications, startLoop })
  try {
    await onceAnswered(async () => {
      // A client whose first connection failed goes on only after another call.
      await client.connect()
      await createIndexes(collectionsOf(client))
      await noteRemovals(collectionsOf(client))
      await maintenance.begin()
    }, { waitMs, log })
  } catch (err) {
    await connection.close()
    throw err
  }
  return {
    clusters: createClusterStore(connection),
    jobs: createJobStore(connection, commit, relay, notifications),
    outbox,
    subnets: createSubnetStore(connection),
    channels: createChannelStore(connection, notifications),
    leases: createLeaseStore(connection),
    notifications: notifications.events,
    unreadable: connection.documents.reported,
    check: connection.check,
    async close () {
      // Refuses what comes from now on, and waits for what is under way.
      const closed = connection.close()
      await maintenance.stop()
      await closed
    }
  }
}

/**
 * What an earlier version stored of a job that is being removed: it says so now, and is due, so that its true deadline
 * is noted.
 */
async function noteRemovals ({ jobs }: Pick<Collections, 'jobs'>): Promise<void> {
  await jobs.updateMany({
    'system_manager.retiring': { $exists: true },
    'system_manager.live_name': { $exists: false },
    status: { $nin: ['UNDEPLOYING', 'UNDEPLOYED'] }
  }, { $set: { status: 'UNDEPLOYING', 'system_manager.due_at': new Date().toISOString() } })
}
