import type { Loop, StartLoop, Turn } from '../../background/loop.js'
import { ApiError } from '../../schemas/errors.js'
import { PLACEMENT_FAILURES } from '../../schemas/status.js'
import { UNTOLD } from './cluster-document.js'
import type { JobDocument } from './collections.js'
import type { Connection } from './connection.js'
import { isOutage } from './failures.js'
import { toObjectId } from './ids.js'
import type { JobCommit } from './job-commit.js'
import { aboutJob } from './job-document.js'
import type { Notifications } from './notifications.js'
import type { Outbox } from './outbox.js'
import type { Relay } from './relay.js'

/** What the store does while it is open, besides what it is asked for. */
export interface Maintenance {
  /** Takes over what was there before; afterwards everything is as the port promises, and a loop keeps it so. */
  begin (): Promise<void>
  stop (): Promise<void>
}

/** Milliseconds between turns, which look for what others wrote. Each costs what is new. */
const TURN_MS = 1000

/** Every so many turns: relays the commands that a process left behind when it ended, and sweeps. */
const TURNS_PER_RELAY = 5
const TURNS_PER_SWEEP = 60

/** Milliseconds that settled commands are kept: far longer than any process takes to relay one. */
const SETTLED_KEPT_MS = 3_600_000

/** Milliseconds after which the lease of a process that is gone is forgotten. */
const LEASES_KEPT_MS = 3_600_000

/** Jobs read at a time. */
const BATCH = 100

/** One thing that a turn does. It fails alone. */
interface Step {
  name: string
  /** It is part of every so many turns. */
  every: number
  work (): Promise<unknown>
}

export function createMaintenance (
  { collections: { clusters, jobs, leases }, documents, log }: Connection,
  { commit, relay, outbox, notifications, startLoop }: {
    commit: JobCommit
    relay: Relay
    outbox: Outbox
    notifications: Notifications
    startLoop: StartLoop
  }
): Maintenance {
  let loop: Loop | undefined
  let turns = 0

  /** What cannot be done for one job does not stop the others; an outage does. */
  async function each (found: JobDocument[], act: (job: JobDocument) => Promise<void>): Promise<void> {
    for (const document of found) {
      try {
        await act(document)
      } catch (err) {
        if (isOutage(err)) throw err
        documents.report(aboutJob(document), err)
      }
    }
  }

  /**
   * Jobs of the original, the newest first: of several of one name that is the one in use. Gives how many were adopted.
   */
  async function adopt (): Promise<number> {
    let adopted = 0
    let found: JobDocument[] = []
    do {
      const before = found.at(-1)
      found = await jobs.findMany({
        'system_manager.underscored_name': null,
        _id: { $gt: toObjectId(''), ...(before && { $lt: before._id }) }
      }, { sort: { _id: -1 }, limit: BATCH })
      await each(found, async document => {
        if (await commit.adopt(document)) adopted++
      })
    } while (found.length === BATCH)
    if (adopted > 0) notifications.emit({ unplaced: true })
    return adopted
  }

  /** The Cloud Scheduler fails for all jobs over one figure that is missing (contract section 10). */
  async function fillFigures (): Promise<void> {
    for (const [name, zero] of Object.entries(UNTOLD)) {
      await clusters.updateMany({ cluster_name: { $exists: true }, [name]: null }, { $set: { [name]: zero } })
    }
  }

  /** What has an id of another kind is no job: it stays as it is, and the log names it. */
  async function reportStrangers (): Promise<void> {
    const found = await jobs.findMany({ _id: { $not: { $gte: toObjectId('') } } }, {
      projection: { _id: 1 },
      limit: BATCH
    })
    for (const document of found) documents.report(aboutJob(document), new Error('its _id is no ObjectId'))
  }

  /** What the Cloud Scheduler wrote into jobs (contract section 4). */
  async function absorb (): Promise<void> {
    const differing = PLACEMENT_FAILURES.map(status => ({
      status,
      'system_manager.status': { $ne: status },
      'system_manager.unplaced': true as const
    }))
    await each(
      await jobs.findMany({ $or: differing }, { projection: { _id: 1 } }),
      ({ _id }) => commit.absorb(_id.toHexString())
    )
  }

  async function relayLeft (): Promise<void> {
    const commands = await relay.relayLeft()
    notifications.emit({ commands })
    notifications.publish({ commands })
  }

  const steps: Step[] = [
    { name: 'adopt', every: 1, work: adopt },
    { name: 'absorb', every: 1, work: absorb },
    { name: 'notifications', every: 1, work: notifications.poll },
    { name: 'relay', every: TURNS_PER_RELAY, work: relayLeft },
    {
      name: 'sweep of settled commands',
      every: TURNS_PER_SWEEP,
      work: () => outbox.sweepSettled(new Date(Date.now() - SETTLED_KEPT_MS))
    },
    { name: 'sweep of commands without a cluster', every: TURNS_PER_SWEEP, work: outbox.sweepOrphans },
    { name: 'sweep of notifications', every: TURNS_PER_SWEEP, work: notifications.sweep },
    {
      name: 'sweep of leases',
      every: TURNS_PER_SWEEP,
      work: () => leases.deleteMany({ _id: /^process\//, expires_at: { $lt: new Date(Date.now() - LEASES_KEPT_MS) } })
    },
    { name: 'change stream', every: TURNS_PER_SWEEP, work: notifications.watch }
  ]

  async function turn ({ each }: Turn): Promise<void> {
    turns++
    await each(steps.filter(({ every }) => turns % every === 0), attempt, ({ name }) => ({ step: name }))
  }

  /** The connection logs once that the database does not answer. */
  async function attempt ({ name, work }: Step): Promise<void> {
    try {
      await work()
    } catch (err) {
      if (!(err instanceof ApiError && ['store_unavailable', 'shutting_down'].includes(err.code))) throw err
      log.debug({ err, step: name }, 'a step of the maintenance of the database failed, it is tried again')
    }
  }

  return {
    async begin () {
      await fillFigures()
      await reportStrangers()
      while (await adopt() > 0);
      await relayLeft()
      await notifications.watch()
      loop = startLoop({ name: 'database maintenance', everyMs: TURN_MS, atOnce: false, run: turn })
    },

    async stop () {
      await loop?.stop()
      notifications.stop()
    }
  }
}
