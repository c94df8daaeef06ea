import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient, type MongoClientOptions } from 'mongodb'
import { ApiError } from '../../schemas/errors.js'
import type { StoreLog } from './connection.js'
import { isOutage } from './failures.js'

/** Milliseconds between tries to reach a database that is not there yet. */
const RETRY_MS = 500

/** Milliseconds after which the log says that the start waits. */
const PATIENCE_MS = 1000

/** What the URI says goes before these. */
const DEFAULTS: MongoClientOptions = {
  appName: 'system-manager',
  // Requests fail far earlier when there is no answer (see connection.ts).
  connectTimeoutMS: 5000,
  // Less than a statement has: one that was given up must not begin later.
  serverSelectionTimeoutMS: 1400,
  waitQueueTimeoutMS: 1400,
  // A burst does not wait for its connections to be opened two at a time.
  maxConnecting: 16,
  // What was given up frees its connection.
  socketTimeoutMS: 3000,
  heartbeatFrequencyMS: 2000,
  // After a lost connection the server is looked for again this soon, not half a second later.
  minHeartbeatFrequencyMS: 100
}

/**
 * A client that is not connected yet. What the store promises does not hold for reads from a secondary, or writes that
 * one server alone has: neither can be asked for. Throws for a URI that cannot be understood, without repeating it.
 */
export function createClient (uri: string): MongoClient {
  const defaults = Object.entries(DEFAULTS).filter(([name]) => !new RegExp(`[?&]${name}=`, 'i').test(uri))
  return new MongoClient(uri, {
    ...Object.fromEntries(defaults),
    readPreference: 'primary',
    // The server's own answer comes before patience ends (see connection.ts).
    writeConcern: { w: 'majority', wtimeoutMS: 1000 },
    ignoreUndefined: true
  })
}

/** Codes of Node's TLS for a certificate that is not accepted. */
const TLS_REFUSALS = /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/

/**
 * What an operator has to mend before the database can be used, which waiting does not; undefined when there is nothing
 * of the kind.
 */
function misconfiguration (err: unknown): string | undefined {
  // The driver wraps what a connection failed of, twice for the choice of a server.
  for (let each = err; each instanceof Error; each = each.cause) {
    const { code, syscall } = each as { code?: unknown, syscall?: unknown }
    if (code === 18) return 'The database refuses the user or the password of MONGO_URI'
    if (code === 13) return 'The user of MONGO_URI may not do in the database what the System Manager has to'
    if (syscall === 'open') return 'A file that MONGO_URI names cannot be read'
    if (typeof code === 'string' && TLS_REFUSALS.test(code)) {
      return 'The certificate of the database is not trusted (see tlsCAFile in MONGO_URI)'
    }
  }
  return undefined
}

/**
 * Does what a start needs of the database, again and again until it answers; logs once that it does not yet. Throws
 * `store_unavailable` after `waitMs`, or immediately when waiting does not help; what is no outage is thrown as it is.
 */
export async function onceAnswered (
  work: () => Promise<void>,
  { waitMs, log }: { waitMs: number, log: StoreLog }
): Promise<void> {
  const deadline = performance.now() + waitMs
  const impatience = setTimeout(
    () => log.warn({}, `the database does not answer yet, the start waits up to ${waitMs / 1000} s for it`),
    PATIENCE_MS
  )
  try {
    for (;;) {
      try {
        return await work()
      } catch (err) {
        const mistake = misconfiguration(err)
        if (mistake === undefined && !isOutage(err)) throw err
        if (mistake !== undefined || performance.now() >= deadline) {
          const what = mistake ?? 'The database cannot be used'
          throw new ApiError('store_unavailable', `${what}: ${(err as Error).message}`, { cause: err })
        }
        await sleep(RETRY_MS)
      }
    }
  } finally {
    clearTimeout(impatience)
  }
}
