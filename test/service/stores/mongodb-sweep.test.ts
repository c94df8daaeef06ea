import { ObjectId } from 'mongodb'
import { createClient } from '../../../stores/mongodb/client.js'
import { createConnection } from '../../../stores/mongodb/connection.js'
import { createOutbox } from '../../../stores/mongodb/outbox.js'
import { onMongo, uri } from './on-mongo.js'
import { keptLog, openedMongo, rawMongo } from './mongo-store.js'
import { aCommand, aJob, registered, saved } from './samples.js'

/** What the store forgets of its outbox. */

const HOUR_MS = 3_600_000

onMongo('a sweep forgets what was settled long ago, and the numbers of a cluster go on', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const connection = createConnection(createClient(uri), keptLog())
  t.teardown(() => connection.close())
  const outbox = createOutbox(connection)
  const [here, there] = [await registered(store), await registered(store)]
  const settledAt = (ms: number, clusterId: string, seq: number) =>
    raw.outbox.updateOne({ cluster_id: clusterId, seq }, { $set: { settled_at: new Date(Date.now() - ms) } })
  let job = await saved(store, aJob())
  const send = async (clusterId: string, count: number) => {
    job = await saved(store, job, { commands: Array.from({ length: count }, () => aCommand(job, clusterId, 'delete')) })
  }
  await send(here.id, 3)
  await send(there.id, 2)
  await store.outbox.ack(here.id, 3)
  await store.outbox.ack(there.id, 1)
  await settledAt(2 * HOUR_MS, here.id, 2)
  await settledAt(2 * HOUR_MS, here.id, 3)
  await settledAt(2 * HOUR_MS, there.id, 1)

  await outbox.sweepSettled(new Date(Date.now() - HOUR_MS))
  const left = await raw.outbox.find({}, { sort: { cluster_id: 1, seq: 1 } }).toArray()
  t.strictSame(left.map(({ cluster_id: id, seq }) => [id, seq]).sort(), [[here.id, 1], [there.id, 2]].sort(), 'what was settled lately, and what is not settled')
  t.strictSame(await store.outbox.position(here.id), { acked: 3, last: 3 }, 'the last number survives')
  t.strictSame(await store.outbox.position(there.id), { acked: 1, last: 2 })
  await send(here.id, 1)
  t.strictSame((await store.outbox.pending(here.id, { after: 0, limit: 9 })).map(({ seq }) => seq), [4])
  await outbox.sweepSettled(new Date(Date.now() + HOUR_MS))
  t.equal(await raw.outbox.countDocuments(), 2, 'what is not settled is never forgotten')
})

onMongo('a sweep forgets all that was settled long ago, however much, also of clusters that are gone', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const connection = createConnection(createClient(uri), keptLog())
  t.teardown(() => connection.close())
  const outbox = createOutbox(connection)
  const { id } = await registered(store)
  const gone = new ObjectId().toHexString()
  await raw.outbox.insertMany(Array.from({ length: 2500 }, (_, index) => ({
    _id: `command-${index}`, cluster_id: index % 2 ? id : gone, kind: 'delete' as const, job_id: id, seq: index + 1, settled_at: new Date(0)
  })))
  await outbox.sweepSettled(new Date())
  t.equal(await raw.outbox.countDocuments(), 0)
  t.equal((await store.outbox.position(id)).last, 2500)
})

onMongo('a sweep forgets commands that wait for clusters that are gone, and no others', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const connection = createConnection(createClient(uri), keptLog())
  t.teardown(() => connection.close())
  const outbox = createOutbox(connection)
  const job = aJob()
  const clusters = await Promise.all(Array.from({ length: 3 }, () => registered(store)))
  await saved(store, job, { commands: clusters.flatMap(({ id }) => [aCommand(job, id), aCommand(job, id, 'delete')]) })
  const [first, , last] = clusters.map(({ id }) => id).sort() as [string, string, string]
  await raw.clusters.deleteMany({ _id: { $in: [new ObjectId(first), new ObjectId(last)] } })
  await outbox.sweepOrphans()
  const left = await raw.outbox.distinct('cluster_id')
  t.strictSame(left, clusters.map(({ id }) => id).filter(id => id !== first && id !== last))
  t.equal(await raw.outbox.countDocuments(), 2)
})
