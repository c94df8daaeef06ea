import { setTimeout as sleep } from 'node:timers/promises'
import { ObjectId, type Document } from 'mongodb'
import t, { type Test } from 'tap'
import { jobWithPlainId } from '../../../schemas/job-document.js'
import { createClient } from '../../../stores/mongodb/client.js'
import { createConnection } from '../../../stores/mongodb/connection.js'
import { createNotifications } from '../../../stores/mongodb/notifications.js'
import type { Store } from '../../../stores/store.js'
import { startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { eventually, within } from '../../support/waiting.js'
import { onMongo, uri } from './on-mongo.js'
import { keptLog, openedMongo, rawMongo } from './mongo-store.js'
import { aCommand, aJob, addressesOf, commit, registered, saved, nextSubnet } from './samples.js'

/** Several System Managers on one database: each store here is one with a client of its own. */

const several = (t: Test, count: number) => Promise.all(Array.from({ length: count }, () => openedMongo(t, uri)))
const numbersOf = (length: number) => Array.from({ length }, (_, index) => index + 1)

onMongo('of many that change the same revision one is saved', async t => {
  const stores = await several(t, 3)
  for (let round = 0; round < 10; round++) {
    const job = await saved(stores[0]!, aJob())
    const outcomes = await Promise.all(stores.flatMap(store => Array.from({ length: 5 }, (_, n) => commit(store, { ...job, status_reason: String(n) }))))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'saved').length, 1)
    t.equal((await stores[1]!.jobs.get(job.id))!.revision, 2)
  }
})

onMongo('of many that create a job of one name, or ask for one address, one is saved', async t => {
  const stores = await several(t, 3)
  const names = await Promise.all(stores.flatMap(store => Array.from({ length: 10 }, () => commit(store, aJob({ job_name: 'a.b.c.d' })))))
  t.equal(names.filter(({ outcome }) => outcome === 'saved').length, 1)
  t.equal(names.filter(({ outcome }) => outcome === 'name_taken').length, 29)
  const claims = await Promise.all(stores.flatMap(store => Array.from({ length: 10 }, () => commit(store, aJob({ service_ip_list: [{ IpType: 'RR', Address: '172.30.7.7' }] })))))
  t.equal(claims.filter(({ outcome }) => outcome === 'saved').length, 1)
  t.equal(claims.filter(({ outcome }) => outcome === 'address_taken').length, 29)
})

/** As a client does: on a busy machine others may be in the way for longer than one request waits. */
async function insisted<T> (ask: () => Promise<T>): Promise<T> {
  const answer = await eventually(
    () => ask().then(value => ({ value }), (err: { code?: string }) => {
      if (err.code !== 'store_unavailable') throw err
      return undefined
    }),
    found => found !== undefined,
    60_000
  )
  return answer!.value
}

onMongo('1,500 jobs created by three at the same time lease 4,500 different addresses, whatever is undeployed meanwhile', async t => {
  const stores = await several(t, 3)
  const jobs = await Promise.all(stores.flatMap(store => Array.from({ length: 500 }, () => {
    const job = aJob({ instances: 2 })
    return insisted(() => saved(store, job))
  })))
  t.equal(new Set(jobs.flatMap(addressesOf)).size, 4500)
  const raw = await rawMongo(t, uri)
  const stored = await raw.jobs.distinct('system_manager.addresses')
  t.equal(stored.length, 4500)
})

onMongo('subnets taken by three processes at the same time are all different', async t => {
  const stores = await several(t, 3)
  const subnets = await Promise.all(stores.flatMap(store =>
    Array.from({ length: 200 }, () => insisted(() => nextSubnet(store)))
  ))
  t.equal(new Set(subnets).size, 600)
})

onMongo('commands of three for the same clusters are numbered without a gap, each once, those of a job in order', async t => {
  const stores = await several(t, 3)
  const clusters = await Promise.all(numbersOf(3).map(() => registered(stores[0]!)))
  const chains = stores.flatMap(store => numbersOf(8).map(async () => {
    let job = aJob()
    const ids: string[] = []
    for (let step = 0; step < 5; step++) {
      const commands = clusters.flatMap(({ id }) => [aCommand(job, id), aCommand(job, id, 'delete')])
      ids.push(...commands.map(({ command_id: id }) => id))
      job = await saved(store, job, { commands })
    }
    return { job, ids }
  }))
  const done = await Promise.all(chains)
  for (const { id } of clusters) {
    const commands = await stores[2]!.outbox.pending(id, { after: 0, limit: 9999 })
    t.strictSame(commands.map(({ seq }) => seq), numbersOf(240))
    for (const { job, ids } of done) {
      const own = commands.filter(command => command.job_id === job.id).map(command => command.command_id)
      t.strictSame(own, ids.filter(id => own.includes(id)), 'in the order in which they were committed')
      t.equal(own.length, 10)
    }
  }
})

onMongo('commands that a process left in a job when it died are brought into the outbox by the others, and at the next start', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id } = await registered(store)
  const job = await saved(store, aJob(), { commands: [] })
  const leave = async (...commandIds: string[]) => {
    const drafts = commandIds.map(commandId => ({ ...aCommand(job, id), command_id: commandId, job: JSON.stringify(jobWithPlainId(job)) }))
    await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { 'system_manager.drafts': drafts } })
  }
  const notified = new Promise(resolve => store.notifications.once('commands', resolve))
  await leave('one', 'two')
  t.strictSame(await notified, [id])
  t.match(await store.outbox.pending(id, { after: 0, limit: 9 }), [{ seq: 1, command_id: 'one', job: { _id: job.id } }, { seq: 2, command_id: 'two' }])
  await store.close()

  // Two are there already: the process died before it could take them out of the job.
  await leave('one', 'two', 'three')
  const next = await openedMongo(t, uri)
  t.match(await next.outbox.pending(id, { after: 0, limit: 9 }), [{ seq: 1 }, { seq: 2 }, { seq: 3, command_id: 'three' }])
  t.equal((await next.outbox.position(id)).last, 3)
  t.equal(await raw.jobs.countDocuments({ 'system_manager.drafts': { $exists: true } }), 0)
})

onMongo('a process notifies the others of its commits and claims, but not itself', async t => {
  const [one, other] = await several(t, 2) as [Store, Store]
  const { id } = await registered(one)
  const heard: string[] = []
  const listen = (name: string, store: Store) => {
    store.notifications.on('commands', ids => heard.push(`${name} commands ${ids.join()}`))
    store.notifications.on('claims', ids => heard.push(`${name} claims ${ids.join()}`))
    store.notifications.on('unplaced', () => heard.push(`${name} unplaced`))
  }
  listen('one', one)
  listen('other', other)
  const job = aJob()
  await saved(one, job, { commands: [aCommand(job, id)] })
  await one.channels.claim(id, 'process-1')
  await eventually(async () => heard, all => all.length >= 3)
  await sleep(1500)
  t.strictSame(heard.sort(), [`other claims ${id}`, `other commands ${id}`, 'other unplaced'], 'each once')
})

t.test('where the server has change streams, notifications come by them', async t => {
  const uri = await startDatabase(t, { changeStreams: true })
  const one = await openedMongo(t, uri)
  const proxy = await startMongoProxy(t, uri)
  const other = await openedMongo(t, proxy.uri)
  // Nothing comes by asking.
  proxy.fail({ command: 'find', collection: 'notifications', how: { error: 1 } })
  const { id } = await registered(one)
  for (let round = 0; round < 5; round++) {
    const claimed = new Promise(resolve => other.notifications.once('claims', resolve))
    await one.channels.claim(id, 'process-1')
    t.strictSame(await within(claimed, 'the claim'), [id])
  }
})

t.test('what a change stream brings in its first answer is heard, and so is what came before it was open', async t => {
  const uri = await startDatabase(t, { changeStreams: true })
  const one = await openedMongo(t, uri)
  const proxy = await startMongoProxy(t, uri)
  const connection = createConnection(createClient(proxy.uri), keptLog())
  t.teardown(() => connection.close())
  const { id: early } = await registered(one)
  const late = new ObjectId().toHexString()
  const notifications = createNotifications(connection)
  t.teardown(() => notifications.stop())
  const heard: string[] = []
  notifications.events.on('claims', ids => heard.push(...ids))
  await one.channels.claim(early, 'process-1')
  await eventually(() => connection.collections.notifications.countDocuments(), count => count > 0)

  // A server that has a change by then sends it along; the emulator never has.
  const ns = { db: 'system_manager', coll: 'notifications' }
  const content = { from: 'another', commands: [], claims: [late], unplaced: false }
  const fullDocument = { _id: new ObjectId(), at: new Date(), ...content }
  const change = { _id: { _data: 'first' }, operationType: 'insert', ns, fullDocument }
  const answer = ({ cursor, ...rest }: Document): Document =>
    ({ ...rest, cursor: { ...cursor as Document, firstBatch: [change] } })
  proxy.fail({ command: 'aggregate', collection: 'notifications', how: { answer }, times: 1 })
  proxy.fail({ command: 'find', collection: 'notifications', how: { error: 1 } })
  await t.rejects(notifications.watch(), { code: 'store_unavailable' })
  t.strictSame(heard, [late])
  proxy.heal()
  await notifications.poll()
  t.strictSame(heard, [late, early], 'each once')
})
