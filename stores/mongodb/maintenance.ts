import { setTimeout as sleep } from 'node:timers/promises'
import { PLACEMENT_FAILURES } from '../../schemas/status.js'
import { LONG_MS, type Connection } from './connection.js'
import { toObjectId } from './ids.js'
import type { JobCommit } from './job-commit.js'
import type { Notifications } from './notifications.js'
import type { Outbox } from './outbox.js'
import type { Relay } from './relay.js'

/** What the store does by itself while it is open, besides what it is asked for. */
export interface Maintenance {
  /** Takes over what was there before; afterwards everything is as the port promises. */
  begin (): Promise<void>
  stop (): Promise<void>
}

/** Milliseconds between looks for what others wrote. Each costs what is new. */
const LOOK_MS = 1000

/** Every so many looks: for commands that a process left behind when it ended, and for what can be forgotten. */
const LOOKS_PER_RELAY = 5
const LOOKS_PER_SWEEP = 60

/** Milliseconds that settled commands are kept: far longer than any process takes to relay one. */
const SETTLED_KEPT_MS = 3_600_000

/** Milliseconds after which the lease of a process that is gone is forgotten. */
const LEASES_KEPT_MS = 3_600_000

/** Jobs dealt with in one step. */
const STEP = 100

export function createMaintenance (
  { collections: { jobs, leases }, run, log }: Connection,
  { commit, relay, outbox, notifications }: {
    commit: JobCommit
    relay: Relay
    outbox: Outbox
    notifications: Notifications
  }
): Maintenance {
  const stopping = new AbortController()
  let stopped: Promise<void> | undefined

  /**
   * Jobs of the original, the newest first: of several of one name that is the one in use. Gives how many were adopted.
   */
  async function adopt (): Promise<number> {
    const found = await jobs.find({ 'system_manager.underscored_name': null, _id: { $gt: toObjectId('') } }).sort({
      _id: -1
    }).limit(STEP).toArray()
    let adopted = 0
    // One by one: the order decides.
    for (const document of found) adopted += Number(await commit.adopt(document))
    if (adopted > 0) notifications.tell({ unplaced: true })
    return adopted
  }

  /** What the Cloud Scheduler wrote into jobs (contract section 4). */
  async function absorb (): Promise<void> {
    const differing = PLACEMENT_FAILURES.map(status => ({
      status,
      'system_manager.status': { $ne: status },
      'system_manager.unplaced': true
    }))
    const found = await jobs.find({ $or: differing }, { projection: { _id: 1 } }).limit(STEP).toArray()
    await Promise.all(found.map(({ _id }) => commit.absorb(_id.toHexString())))
  }

  async function relayLeft (): Promise<number> {
    const commands = await relay.relayLeft()
    notifications.tell({ commands })
    notifications.publish({ commands })
    return commands.length
  }

  async function sweep (): Promise<void> {
    await outbox.sweep(new Date(Date.now() - SETTLED_KEPT_MS))
    await notifications.sweep()
    await leases.deleteMany({ _id: /^process\//, expires_at: { $lt: new Date(Date.now() - LEASES_KEPT_MS) } })
  }

  /** Whether the database answers is told by the connection, once; the next look comes soon. */
  async function attempt (work: () => Promise<unknown>): Promise<void> {
    await run(work, LONG_MS).catch((err: unknown) =>
      log.debug({ err }, 'upkeep of the database failed, it is tried again')
    )
  }

  async function loop (): Promise<void> {
    for (let looks = 1; !stopping.signal.aborted; looks++) {
      await sleep(LOOK_MS, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
      if (stopping.signal.aborted) return
      await attempt(adopt)
      await attempt(absorb)
      await attempt(notifications.poll)
      if (looks % LOOKS_PER_RELAY === 0) await attempt(relayLeft)
      if (looks % LOOKS_PER_SWEEP === 0) await attempt(sweep)
      if (looks % LOOKS_PER_SWEEP === 0) await attempt(notifications.watch)
    }
  }

  return {
    async begin () {
      while (await adopt() > 0);
      while (await relayLeft() > 0);
      await notifications.watch()
      stopped = loop()
    },

    async stop () {
      stopping.abort()
      await stopped
      await notifications.stop()
    }
  }
}
