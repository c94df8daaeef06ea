import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient, MongoServerError, type MongoClientOptions } from 'mongodb'
import { ApiError } from '../../schemas/errors.js'
import { DEADLINE_MS, type StoreLog } from './connection.js'

/** Milliseconds between tries to reach a database that is not there yet. */
const RETRY_MS = 500

/** What the URI says goes before these. */
const DEFAULTS: MongoClientOptions = {
  appName: 'system-manager',
  connectTimeoutMS: DEADLINE_MS,
  serverSelectionTimeoutMS: DEADLINE_MS,
  waitQueueTimeoutMS: DEADLINE_MS,
  // For one answer; requests are told earlier that none came.
  socketTimeoutMS: 30_000,
  heartbeatFrequencyMS: 2000
}

/**
 * A client that is not connected yet. What the store promises does not hold for reads from a secondary, or writes that
 * one server alone has: neither can be asked for. Throws for a URI that cannot be understood, without repeating it.
 */
export function createClient (uri: string): MongoClient {
  const defaults = Object.entries(DEFAULTS).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(uri))
  return new MongoClient(uri, { ...Object.fromEntries(defaults), readPreference: 'primary', writeConcern: { w: 'majority' }, ignoreUndefined: true, monitorCommands: true })
}

/** Waits for the database to answer, telling once that it does not yet. Throws `store_unavailable` after `waitMs`, or at once when it refuses us. */
export async function connect (client: MongoClient, { waitMs, log }: { waitMs: number, log: StoreLog }): Promise<void> {
  const deadline = performance.now() + waitMs
  for (let tries = 0; ; tries++) {
    try {
      await client.db('admin').command({ ping: 1 })
      if (tries > 0) log.info({}, 'the database answers')
      return
    } catch (err) {
      const { message } = err as Error
      const refused = err instanceof MongoServerError && [13, 18].includes(Number(err.code))
      if (refused || performance.now() >= deadline) throw new ApiError('store_unavailable', `The database does not answer: ${message}`, { cause: err })
      if (tries === 0) log.warn({ reason: message }, `the database does not answer yet, it is waited for up to ${waitMs / 1000} s`)
      await sleep(RETRY_MS)
    }
  }
}
