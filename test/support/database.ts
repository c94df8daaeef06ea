import { MongoClient } from 'mongodb'
import type { Test } from 'tap'
import { collectionsOf } from '../../stores/mongodb/collections.js'
import { startEmulator } from './mongo-wire/emulator.js'

/**
 * The server of MongoDB that tests run on instead of the emulator, with credentials, TLS and a replica set if it has
 * them. It has to be one for tests: its databases are emptied again and again.
 */
const { MONGO_URI: SERVER = '' } = process.env

/** Leaves a trace of tests on that server, so that they never empty one that somebody uses. */
const TRACE = { db: 'system_manager', collection: 'tests' }

/** Gives the URI of an empty database of its own, on the emulator, or on the server of MONGO_URI if there is one. */
export async function startDatabase (
  t: Test,
  { changeStreams = false }: { changeStreams?: boolean } = {}
): Promise<string> {
  if (SERVER === '') return await startEmulator(t, { changeStreams })
  await emptied(SERVER)
  return SERVER
}

/** Empties what the System Manager uses. Throws for a server that holds what no test has put there. */
export async function emptied (uri: string): Promise<void> {
  const client = new MongoClient(uri)
  const { clusters, jobs, ...others } = collectionsOf(client)
  const trace = client.db(TRACE.db).collection(TRACE.collection)
  try {
    if (uri === SERVER && !(await trace.findOne())) {
      if ((await clusters.findOne()) ?? (await jobs.findOne())) {
        throw new Error('MONGO_URI names a server with clusters or jobs: tests would delete them')
      }
      await trace.insertOne({ note: 'tests empty these databases' })
    }
    for (const collection of [clusters, jobs, ...Object.values(others)]) await collection.deleteMany({})
  } finally {
    await client.close()
  }
}

/** A URI with one more option. */
export function withOption (uri: string, option: string): string {
  if (uri.includes('?')) return `${uri}&${option}`
  return `${uri}${/^mongodb:\/\/[^/]+$/.test(uri) ? '/' : ''}?${option}`
}
