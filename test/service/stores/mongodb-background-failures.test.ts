import { ObjectId } from 'mongodb'
import t from 'tap'
import { startLoop } from '../../../background/loop.js'
import { createClient } from '../../../stores/mongodb/client.js'
import type { Collections } from '../../../stores/mongodb/collections.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import type { Store } from '../../../stores/store.js'
import { emptied } from '../../support/database.js'
import { startMongoProxy, type Fault, type How } from '../../support/mongo-wire/proxy.js'
import { eventually, patience } from '../../support/waiting.js'
import { keptLog, rawMongo } from './mongo-store.js'
import { uri } from './on-mongo.js'
import { aJob, registered, saved, nextSubnet } from './samples.js'

/**
 * What nobody waits for fails too, one kind of command at a time: what the maintenance does, and what netcache counts.
 * It is done once the database takes it, and what else there is to do is done meanwhile.
 */

const ANSWER_MS = 300
const LONG_AGO = new Date(Date.now() - 10 * 3_600_000)

interface Work {
  /** It comes once a minute: two ways to fail do. */
  isRare?: boolean
  fault: Omit<Fault, 'how'>
  /** Leaves something to do. Gives whether it was done, and who asks for it where the maintenance does not. */
  prepare(raw: Collections, store: Store): Promise<{ isDone(): Promise<boolean>; ask?(): Promise<unknown> }>
}

const WORKS: Record<string, Work> = {
  'a job of the original that is adopted': {
    fault: { command: 'update', collection: 'jobs' },
    async prepare (raw) {
      const _id = new ObjectId()
      await raw.jobs.insertOne({ _id, job_name: 'old.default.web.test', status: 'REQUESTED' })
      return { isDone: async () => (await raw.jobs.findOne({ _id }))?.system_manager !== undefined }
    }
  },
  'what the Cloud Scheduler found': {
    fault: { command: 'update', collection: 'jobs' },
    async prepare (raw, store) {
      const { id } = await saved(store, aJob())
      await raw.jobs.updateOne({ _id: new ObjectId(id) }, { $set: { status: 'TargetClusterNotFound' } })
      const recorded = async () => (await raw.jobs.findOne({ _id: new ObjectId(id) }))?.system_manager?.status
      return { isDone: async () => (await recorded()) === 'TargetClusterNotFound' }
    }
  },
  ...Object.fromEntries(
    (['delete outbox', 'update clusters'] as const).map((which): [string, Work] => [
      `a settled command that is forgotten: ${which}`,
      {
        isRare: true,
        fault:
          which === 'delete outbox'
            ? { command: 'delete', collection: 'outbox' }
            : { command: 'update', collection: 'clusters' },
        async prepare (raw, store) {
          const { id } = await registered(store)
          await raw.outbox.insertOne({
            _id: 'settled',
            cluster_id: id,
            seq: 7,
            kind: 'delete',
            job_id: new ObjectId().toHexString(),
            settled_at: LONG_AGO
          })
          return {
            isDone: async () =>
              (await raw.outbox.countDocuments({ _id: 'settled' })) === 0 &&
              (await raw.clusters.findOne({ _id: new ObjectId(id) }))?.system_manager?.last === 7
          }
        }
      }
    ])
  ),
  'notifications that are forgotten': {
    isRare: true,
    fault: { command: 'delete', collection: 'notifications' },
    async prepare (raw) {
      await raw.notifications.insertOne({ at: LONG_AGO, from: 'gone', commands: [], claims: [], unplaced: false })
      return { isDone: async () => (await raw.notifications.countDocuments({ from: 'gone' })) === 0 }
    }
  },
  'a notification': {
    fault: { command: 'insert', collection: 'notifications' },
    async prepare (raw, store) {
      return {
        ask: () => saved(store, aJob()),
        // It is lost while it cannot be written: who reads them polls too.
        isDone: async () => (await raw.jobs.countDocuments({})) > 0
      }
    }
  },
  'leases that are forgotten': {
    isRare: true,
    fault: { command: 'delete', collection: 'leases' },
    async prepare (raw) {
      await raw.leases.insertOne({ _id: 'process/gone', holder: 'gone', expires_at: LONG_AGO, token: 1 })
      return { isDone: async () => (await raw.leases.countDocuments({ _id: 'process/gone' })) === 0 }
    }
  },
  'the first of all subnets': {
    fault: { command: 'insert', collection: 'net' },
    async prepare (raw, store) {
      return {
        ask: () => nextSubnet(store),
        isDone: async () => (await raw.net.countDocuments({ type: 'next_subnet_ip' })) === 1
      }
    }
  },
  'a subnet that was given back': {
    fault: { command: 'findAndModify', collection: 'net' },
    async prepare (raw, store) {
      await raw.net.insertMany([
        { type: 'next_subnet_ip', ipv4: [172, 30, 0, 0] },
        { type: 'free_subnet_ip', ipv4: [172, 18, 0, 64] }
      ])
      let given: string | undefined
      return {
        ask: async () => {
          given = await nextSubnet(store)
        },
        // Cut after the server has done it, it is gone: never given twice, which would be worse.
        isDone: async () => given === '172.18.0.64' || (await raw.net.countDocuments({ type: 'free_subnet_ip' })) === 0
      }
    }
  },
  'addresses that were given back': {
    fault: { command: 'delete', collection: 'net' },
    async prepare (raw, store) {
      await raw.net.insertMany([
        { type: 'next_service_ip', ipv4: [172, 30, 255, 255] },
        { type: 'free_service_ip', ipv4: [172, 30, 3, 3] },
        { type: 'free_service_ip', ipv4: [172, 30, 3, 4] }
      ])
      return {
        ask: () => saved(store, aJob()),
        // Those that are gone from the list already are found again later, others serve until then.
        isDone: async () => (await raw.jobs.countDocuments({ 'system_manager.addresses': { $size: 2 } })) === 1
      }
    }
  }
}

const WAYS: Record<string, How> = {
  'cut before': 'cut before',
  'cut after': 'cut after',
  held: 'hold',
  'disk full': { error: 14031 },
  'disk full, for each statement': { writeErrors: 14031 },
  'a code that nobody knows': { error: 987654 }
}

for (const [name, { fault, isRare = false, prepare }] of Object.entries(WORKS)) {
  t.test(name, async t => {
    for (const [way, how] of Object.entries(WAYS)) {
      if (isRare && !['held', 'disk full'].includes(way)) continue
      if (fault.command === 'findAndModify' && way.endsWith('each statement')) continue
      await emptied(uri)
      const raw = await rawMongo(t, uri)
      const proxy = await startMongoProxy(t, uri)
      const log = keptLog()
      let turns = 0
      const store = await openMongoStore({
        client: createClient(proxy.uri),
        waitMs: 10_000,
        answerMs: ANSWER_MS,
        // A minute's turns come in a second.
        startLoop: options =>
          startLoop({
            ...options,
            everyMs: 1,
            run: async turn => {
              await options.run(turn)
              turns++
            },
            log
          }),
        log
      })
      const { hits } = proxy.fail({ ...fault, how })
      const { isDone, ask } = await prepare(raw, store)
      let isTold = ask === undefined
      // An answer that says done is true; any other one is `store_unavailable`, and in time.
      async function asked (): Promise<void> {
        if (isTold) return
        const began = performance.now()
        try {
          await ask!()
          isTold = true
          t.ok(await isDone(), `${way}: told as done`)
        } catch (err) {
          t.match(err, { code: 'store_unavailable' }, way)
        }
        t.ok(performance.now() - began < patience(ANSWER_MS + 800), `${way}: told in time`)
      }
      await asked()
      await eventually(
        async () => hits(),
        found => found > 0,
        30_000
      )
      const before = turns
      await eventually(
        async () => turns,
        now => now > before,
        30_000
      )
      proxy.heal()
      await eventually(
        async () => {
          await asked()
          return isTold && (await isDone())
        },
        done => done,
        30_000
      )
      t.pass(`${way}: done in the end`)
      t.strictSame(log.errors, [], way)
      await store.close()
    }
  })
}
