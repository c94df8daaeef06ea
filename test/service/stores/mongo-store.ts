import { MongoClient, ObjectId } from 'mongodb'
import type { Test } from 'tap'
import { startLoop, type LoopLog, type StartLoop } from '../../../background/loop.js'
import { emptied } from '../../support/database.js'
import { createClient } from '../../../stores/mongodb/client.js'
import { collectionsOf, type Collections } from '../../../stores/mongodb/collections.js'
import type { StoreLog } from '../../../stores/mongodb/connection.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import type { Store } from '../../../stores/store.js'
import type { Edit, LoggedError, Opened } from './opened.js'

/** A logger that keeps warnings and errors. */
export function keptLog (): StoreLog & { warnings: string[], errors: LoggedError[] } {
  const warnings: string[] = []
  const errors: LoggedError[] = []
  return {
    warnings,
    errors,
    debug () {},
    info () {},
    warn: (details, message) => { warnings.push(message) },
    error: (details, message) => { errors.push({ details, message }) }
  }
}

/** Starts the loops of a store that no server watches. */
export function loopsWith (log: LoopLog): StartLoop {
  return options => startLoop({ ...options, log })
}

/** Milliseconds: an emulator on a busy machine is no outage. */
const PATIENT_MS = 60_000

/** A store of its own client, closed when the test ends. */
export async function openedMongo (t: Test, uri: string, { waitMs = 10_000, log = keptLog() } = {}): Promise<Store> {
  const client = createClient(uri)
  const store = await openMongoStore({ client, waitMs, answerMs: PATIENT_MS, startLoop: loopsWith(log), log })
  t.teardown(() => store.close())
  return store
}

/** The collections themselves, for what is to be seen or put there behind the store's back. */
export async function rawMongo (t: Test, uri: string): Promise<Collections & { client: MongoClient }> {
  const client = new MongoClient(uri)
  t.teardown(() => client.close())
  return { client, ...collectionsOf(client) }
}

/** An empty store for a test of the contract. */
export async function openEmpty (t: Test, uri: string): Promise<Opened> {
  await emptied(uri)
  const log = keptLog()
  let store = await openedMongo(t, uri, { log })

  async function reopen (): Promise<Store> {
    await store.close()
    store = await openedMongo(t, uri, { log })
    return store
  }

  return {
    store,
    errors: log.errors,
    reopen,
    async tampered (edits) {
      await store.close()
      const raw = await rawMongo(t, uri)
      for (const edit of edits) await apply(raw, edit)
      return await reopen()
    }
  }
}

async function apply ({ jobs, clusters, outbox }: Collections, edit: Edit): Promise<void> {
  if ('job' in edit) {
    await jobs.updateOne({ _id: new ObjectId(edit.job) }, { $set: { 'system_manager.job': edit.text } })
  } else if ('cluster' in edit) {
    await clusters.updateOne({ _id: new ObjectId(edit.cluster) }, { $set: { 'system_manager.warnings': edit.text as never } })
  } else if ('event' in edit) {
    const [id, number] = edit.event
    const stored = { _id: new ObjectId(id), 'system_manager.events.id': number }
    await jobs.updateOne(stored, { $set: { 'system_manager.events.$': edit.text as never } })
  } else if ('earlier' in edit) {
    const [id, generation] = edit.earlier
    const stored = { _id: new ObjectId(id), 'system_manager.old.generation': generation }
    await jobs.updateOne(stored, { $set: { 'system_manager.old.$.descriptor': edit.text } })
  } else {
    const [cluster_id, seq] = edit.command
    await outbox.updateOne({ cluster_id, seq }, { $set: { job: edit.text } })
  }
}
