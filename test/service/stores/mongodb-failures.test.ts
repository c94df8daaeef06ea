import { setTimeout as sleep } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { ApiError } from '../../../schemas/errors.js'
import { createClient } from '../../../stores/mongodb/client.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import type { Job } from '../../../schemas/job.js'
import type { Store } from '../../../stores/store.js'
import { emptied } from '../../support/database.js'
import { startMongoProxy, type Fault, type How, type MongoProxy } from '../../support/mongo-wire/proxy.js'
import { eventually, patience } from '../../support/waiting.js'
import { keptLog, loopsWith, rawMongo } from './mongo-store.js'
import { aCommand, aJob, commit, registered, saved, nextSubnet } from './samples.js'
import { uri } from './on-mongo.js'

/**
 * Each write of the store fails, one at a time, in each way in which a database fails; everything else of the database
 * works. A write that failed is never taken for one that was done, does not hang and is not tried for ever.
 */

/** Milliseconds after which the store gives up: short, since what is held waits for it. */
const ANSWER_MS = 600

interface Write {
  name: string
  fault: Omit<Fault, 'how'>
  /** Prepares what is to be written, then gives the write itself. */
  prepare(store: Store): Promise<() => Promise<unknown>>
  /** The write is of something that can be done later: the caller is told that it is done. */
  later?: boolean
}

const jobUpdate = (command: Record<string, unknown>) =>
  JSON.stringify(command.updates ?? command).includes('system_manager.change')

const WRITES: Write[] = [
  {
    name: 'a new job',
    fault: { command: 'insert', collection: 'jobs' },
    prepare: async store => () => commit(store, aJob())
  },
  {
    name: 'a change of a job',
    fault: { command: 'update', collection: 'jobs' },
    async prepare (store) {
      const job = await saved(store, aJob())
      return () => commit(store, { ...job, status_reason: 'changed' })
    }
  },
  {
    name: 'the next addresses',
    fault: { command: 'update', collection: 'net' },
    prepare: async store => () => commit(store, aJob())
  },
  {
    name: 'the next subnet',
    fault: { command: 'update', collection: 'net' },
    prepare: async store => () => nextSubnet(store)
  },
  {
    name: 'addresses that are given back',
    fault: { command: 'insert', collection: 'net' },
    later: true,
    async prepare (store) {
      const job = await saved(store, aJob())
      return () => commit(store, { ...job, service_ip_list: [], instance_list: [] })
    }
  },
  {
    name: 'commands for the outbox',
    fault: { command: 'insert', collection: 'outbox' },
    later: true,
    async prepare (store) {
      const { id } = await registered(store)
      const job = aJob()
      return () => commit(store, job, { commands: [aCommand(job, id)] })
    }
  },
  {
    name: 'commands that leave their job',
    fault: { command: 'update', collection: 'jobs', when: command => !jobUpdate(command) },
    later: true,
    async prepare (store) {
      const { id } = await registered(store)
      const job = aJob()
      return () => commit(store, job, { commands: [aCommand(job, id)] })
    }
  },
  ...(['outbox', 'clusters'] as const).map((collection): Write => ({
    name: `an acknowledgement, in ${collection}`,
    fault: { command: 'update', collection },
    async prepare (store) {
      const { id } = await registered(store)
      const job = aJob()
      await saved(store, job, { commands: [aCommand(job, id)] })
      return () => store.outbox.ack(id, 1)
    }
  })),
  {
    name: 'a command that is dropped',
    fault: { command: 'update', collection: 'outbox' },
    async prepare (store) {
      const { id } = await registered(store)
      const job = aJob()
      await saved(store, job, { commands: [aCommand(job, id)] })
      return () => store.outbox.drop(id, 1)
    }
  },
  {
    name: 'a purge',
    fault: { command: 'delete', collection: 'jobs' },
    prepare: async store => () => store.jobs.purge('2000')
  },
  {
    name: 'a registration',
    fault: { command: 'findAndModify', collection: 'clusters' },
    prepare: async store => () => registered(store)
  },
  ...Object.entries<(store: Store, id: string) => Promise<unknown>>({
    'a heartbeat': (store, id) => store.clusters.heartbeat(id, { active_nodes: 1, warnings: [] }, Date.now()),
    'a sign of life': (store, id) => store.clusters.touch(id, Date.now()),
    'a count of nodes': (store, id) => store.clusters.setNodes(id, 3),
    'the maintenance of a cluster': (store, id) => store.clusters.update(id, { scheduling: 'draining' }),
    'a claim that ends': (store, id) => store.channels.release(id, 1)
  }).map(([name, act]): Write => ({
    name,
    fault: { command: 'update', collection: 'clusters' },
    async prepare (store) {
      const { id } = await registered(store)
      await store.channels.claim(id, 'process-1')
      return () => act(store, id)
    }
  })),
  ...Object.entries<(store: Store, id: string) => Promise<unknown>>({
    'nodes that are added': (store, id) => store.clusters.addNodes(id, 3),
    'a claim': (store, id) => store.channels.claim(id, 'process-1')
  }).map(([name, act]): Write => ({
    name,
    fault: { command: 'findAndModify', collection: 'clusters' },
    async prepare (store) {
      const { id } = await registered(store)
      return () => act(store, id)
    }
  })),
  {
    name: 'a cluster that is removed',
    fault: { command: 'delete', collection: 'clusters' },
    async prepare (store) {
      const { id } = await registered(store)
      return () => store.clusters.remove(id)
    }
  },
  {
    name: 'the commands of a cluster that is removed',
    fault: { command: 'delete', collection: 'outbox' },
    later: true,
    async prepare (store) {
      const { id } = await registered(store)
      return () => store.clusters.remove(id)
    }
  },
  {
    name: 'a lease',
    fault: { command: 'findAndModify', collection: 'leases' },
    prepare: async store => () => store.leases.acquire('one', 'me', 60_000)
  },
  {
    name: 'a lease that is prolonged',
    fault: { command: 'findAndModify', collection: 'leases' },
    async prepare (store) {
      await store.leases.acquire('mine', 'me', 60_000)
      return () => store.leases.acquire('mine', 'me', 60_000)
    }
  },
  {
    name: 'a lease that is released',
    fault: { command: 'update', collection: 'leases' },
    prepare: async store => () => store.leases.release('one', 'me')
  }
]

/** In the order of docs/database.md. Codes by the server's error_codes.yml, and one that it has not. */
const WAYS: Record<string, How> = {
  'the connection ends before the server has the command': 'cut before',
  'the connection ends before the answer': 'cut after',
  'the answer never comes': 'hold',
  'no majority (64)': { writeConcernError: 64 },
  'not the primary (10107)': { error: 10107 },
  'not authorised (13)': { error: 13 },
  'authentication failed (18)': { error: 18 },
  'the server shuts down (91)': { error: 91 },
  'interrupted by a change of state (11602)': { error: 11602 },
  'the disk is full (14031)': { error: 14031 },
  'the disk is full (14031), for each statement': { writeErrors: 14031 },
  'over quota (8000)': { error: 8000 },
  'a mistake (2)': { error: 2 },
  'a mistake (9), for each statement': { writeErrors: 9 },
  'a code that nobody knows': { error: 987654 }
}

async function openThrough (proxy: MongoProxy): Promise<Store> {
  const log = keptLog()
  return await openMongoStore({
    client: createClient(proxy.uri),
    waitMs: 10_000,
    answerMs: ANSWER_MS,
    startLoop: loopsWith(log),
    log
  })
}

/** A store behind a proxy of its own. */
async function behindProxy (t: Test): Promise<{ store: Store; proxy: MongoProxy }> {
  const proxy = await startMongoProxy(t, uri)
  const store = await openThrough(proxy)
  t.teardown(() => store.close())
  return { store, proxy }
}

const anyTimes = (command: string, how: How) =>
  !(command === 'findAndModify' && typeof how === 'object' && 'writeErrors' in how)

t.before(() => emptied(uri))

for (const [way, how] of Object.entries(WAYS)) {
  t.test(way, async t => {
    const { store, proxy } = await behindProxy(t)
    for (const { name, fault, prepare, later = false } of WRITES.filter(({ fault }) => anyTimes(fault.command, how))) {
      const act = await prepare(store)
      const { hits } = proxy.fail({ ...fault, how })
      const began = performance.now()
      const outcome = await act().then(
        value => ({ value }),
        (err: unknown) => ({ err })
      )
      const ms = performance.now() - began
      const tries = hits()
      proxy.heal()
      t.ok(tries >= 1 && tries <= 2, `${name}: ${tries} tries`)
      t.ok(ms < patience(ANSWER_MS + 500), `${name}: told after ${Math.round(ms)} ms`)
      if ('value' in outcome) {
        // It is, and the id of the change says so.
        const isFound = how === 'cut after' || (how === 'hold' && name === 'nodes that are added')
        t.ok(later || isFound, `${name}: told as done`)
      } else {
        t.ok(
          outcome.err instanceof ApiError && outcome.err.code === 'store_unavailable',
          `${name}: ${String(outcome.err)}`
        )
      }
      await eventually(
        () =>
          store.check().then(
            () => true,
            () => false
          ),
        answers => answers
      )
      // What was held may come in between: in the end it is as it should be.
      const again = await prepare(store)
      await t.resolves(
        eventually(
          () =>
            again().then(
              () => true,
              () => false
            ),
          done => done
        ),
        `${name}: done later`
      )
    }
  })
}

t.test('what the connection ended over is looked for by the id of its change', async t => {
  const { store, proxy } = await behindProxy(t)
  const cut = proxy.fail({ command: 'insert', collection: 'jobs', how: 'cut after', times: 1 })
  const job = aJob()
  t.match(await commit(store, job), { outcome: 'saved', job: { revision: 1 } })
  t.equal(cut.hits(), 1)
  t.equal((await store.jobs.get(job.id))!.revision, 1)
  const added = proxy.fail({
    command: 'findAndModify',
    collection: 'clusters',
    when: command => JSON.stringify(command).includes('$inc'),
    how: 'cut after',
    times: 1
  })
  const { id } = await registered(store)
  t.equal(await store.clusters.addNodes(id, 3), 3)
  t.equal(added.hits(), 1)
  t.equal(
    (await rawMongo(t, uri).then(raw => raw.clusters.findOne({ _id: new ObjectId(id) })))!.nodes,
    3,
    'and not added twice'
  )
})

t.test('of many changes of one batch each is told what became of it', async t => {
  const { store, proxy } = await behindProxy(t)
  const old = await saved(store, aJob())
  proxy.fail({ command: 'insert', collection: 'jobs', how: { writeErrors: 14031 } })
  const outcomes = await Promise.allSettled([
    commit(store, { ...old, status_reason: 'changed' }),
    commit(store, aJob()),
    commit(store, aJob())
  ])
  t.match(outcomes, [
    { value: { outcome: 'saved' } },
    { reason: { code: 'store_unavailable' } },
    { reason: { code: 'store_unavailable' } }
  ])
})

t.test('what is saved is told so, whatever becomes of the others of its batch', async t => {
  const { store, proxy } = await behindProxy(t)
  const raw = await rawMongo(t, uri)
  // An index that is not ours refuses one of two, and nothing can be found that stands against it.
  await raw.jobs.createIndex({ mark: 1 }, { unique: true, sparse: true, name: 'foreign' })
  t.teardown(() => raw.jobs.dropIndex('foreign'))
  const marked = () => {
    const job = aJob()
    return { ...job, descriptor: { ...job.descriptor, mark: 'taken' } }
  }
  await saved(store, marked())
  const outcomes = await Promise.allSettled([commit(store, marked()), commit(store, aJob())])
  t.match(outcomes, [{ reason: { code: 'store_unavailable' } }, { value: { outcome: 'saved' } }])

  const [x, y] = [await saved(store, aJob()), await saved(store, aJob())]
  const changed = (job: Job) => ({ job: { ...job, status_reason: 'changed' }, events: [], commands: [] })
  proxy.fail({
    command: 'find',
    collection: 'jobs',
    when: ({ filter }) => JSON.stringify(filter).includes(x.id),
    after: 1,
    how: { error: 14031 }
  })
  const three = await Promise.allSettled([x, x, y].map(job => store.jobs.commit([changed(job)])))
  t.match(three, [
    { value: [{ outcome: 'saved' }] },
    { reason: { code: 'store_unavailable' } },
    { value: [{ outcome: 'saved' }] }
  ])
})

t.test('a write whose answer is late is not given out again by one that comes meanwhile', async t => {
  const { store, proxy } = await behindProxy(t)
  await nextSubnet(store)
  proxy.fail({ command: 'update', collection: 'net', how: { lateMs: 300 }, times: 1 })
  const subnets = await Promise.all(
    [0, 130, 140, 260, 350].map(async ms => {
      await sleep(ms)
      return await nextSubnet(store)
    })
  )
  t.equal(new Set(subnets).size, 5, subnets.join())
  t.notOk(subnets.includes(undefined))
})

t.test('a change stream that does not open holds up neither the start nor the end', async t => {
  const proxy = await startMongoProxy(t, uri)
  proxy.fail({ command: 'aggregate', collection: 'notifications', how: 'hold' })
  const began = performance.now()
  const store = await openThrough(proxy)
  t.ok(performance.now() - began < patience(5000), `open after ${Math.round(performance.now() - began)} ms`)
  await eventually(
    () =>
      registered(store).then(
        () => true,
        () => false
      ),
    done => done
  )
  proxy.heal()
  await proxy.freeze()
  const closing = performance.now()
  await store.close()
  t.ok(performance.now() - closing < patience(3000), `closed after ${Math.round(performance.now() - closing)} ms`)
})

t.test('a conflict of writes (112) is no outage: the write is tried again', async t => {
  const { store, proxy } = await behindProxy(t)
  for (const { name, fault, prepare } of WRITES) {
    for (const how of [{ error: 112 }, { writeErrors: 112 }].filter(how => anyTimes(fault.command, how))) {
      const act = await prepare(store)
      const { hits } = proxy.fail({ ...fault, how, times: 1 })
      await t.resolves(act(), `${name}: done`)
      t.equal(hits(), 1, name)
      proxy.heal()
    }
  }
  const { hits } = proxy.fail({ command: 'insert', collection: 'jobs', how: { error: 112 } })
  await t.rejects(commit(store, aJob()), { code: 'store_unavailable' })
  t.ok(hits() > 1 && hits() <= 50, `${hits()} tries of one that never ends`)
})

t.test('each write that must last asks for a majority, in bounded time', async t => {
  const { store, proxy } = await behindProxy(t)
  for (const { name, fault, prepare } of WRITES) {
    const act = await prepare(store)
    let asked: unknown
    // Seen, and passed on.
    proxy.fail({
      ...fault,
      when: command => (fault.when?.(command) ?? true) && (asked ??= command.writeConcern ?? {}) === undefined,
      how: 'hold'
    })
    await act()
    proxy.heal()
    const isRepeated = name === 'a heartbeat' || name === 'a sign of life'
    t.match(asked, isRepeated ? { w: 1 } : { w: 'majority', wtimeout: 1000 }, name)
  }
})

t.test('reads go on while writes are not acknowledged, and writes while others are done', async t => {
  const { store, proxy } = await behindProxy(t)
  const { id } = await registered(store)
  const job = await saved(store, aJob())
  proxy.fail({ command: 'insert', collection: 'jobs', how: 'hold' })
  const held = commit(store, aJob()).then(
    () => 'saved',
    (err: ApiError) => err.code
  )
  const reads: unknown[] = []
  for (let round = 0; round < 10; round++) {
    reads.push((await store.jobs.get(job.id))?.id, await store.clusters.heartbeat(id, { warnings: [] }, Date.now()))
    await sleep(100)
  }
  t.strictSame(reads, Array.from({ length: 10 }, () => [job.id, true]).flat())
  t.equal(await held, 'store_unavailable')
  // One that waits behind it does not wait twice as long.
  const began = performance.now()
  await Promise.all(
    [0, 100, 300].map(async ms => {
      await sleep(ms)
      await t.rejects(commit(store, aJob()), { code: 'store_unavailable' })
    })
  )
  t.ok(performance.now() - began < patience(1500), `${Math.round(performance.now() - began)} ms`)
})
