import { MongoClient } from 'mongodb'
import type { Test } from 'tap'
import { createClient } from '../../../stores/mongodb/client.js'
import { collectionsOf, type Collections } from '../../../stores/mongodb/collections.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import type { Store } from '../../../stores/store.js'
import type { Opened } from './opened.js'

/** The databases that the store uses; tests empty them. */
const DATABASES = ['clusters', 'jobs', 'netcache', 'system_manager']

/** A logger that keeps the warnings. */
export function keptLog (): { warnings: string[], debug (): void, info (): void, warn (details: object, message: string): void } {
  const warnings: string[] = []
  return { warnings, debug () {}, info () {}, warn: (details, message) => { warnings.push(message) } }
}

/** A store of its own client, closed when the test ends. */
export async function openedMongo (t: Test, uri: string, { waitMs = 10_000, log = keptLog() } = {}): Promise<Store> {
  const store = await openMongoStore({ client: createClient(uri), waitMs, log })
  t.teardown(() => store.close())
  return store
}

/** The collections themselves, for what is to be seen or put there behind the store's back. */
export async function rawMongo (t: Test, uri: string): Promise<Collections & { client: MongoClient }> {
  const client = new MongoClient(uri)
  t.teardown(() => client.close())
  return { client, ...collectionsOf(client) }
}

export async function emptied (t: Test, uri: string): Promise<void> {
  const client = new MongoClient(uri)
  for (const name of DATABASES) await client.db(name).dropDatabase()
  await client.close()
}

/** An empty store for a test of the contract. */
export async function openEmpty (t: Test, uri: string): Promise<Opened> {
  await emptied(t, uri)
  let store = await openedMongo(t, uri)
  return {
    store,
    async reopen () {
      await store.close()
      store = await openedMongo(t, uri)
      return store
    }
  }
}
