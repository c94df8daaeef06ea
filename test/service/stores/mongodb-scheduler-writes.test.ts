import { ObjectId } from 'mongodb'
import { onMongo, uri } from './on-mongo.js'
import { openedMongo, rawMongo } from './mongo-store.js'
import { aJob, anEvent, anInstance, commit, on, registered, saved, documentsOf } from './samples.js'

/** The Cloud Scheduler writes jobs.jobs.status when it finds no cluster (contract section 4). */

const FOUND = 'TargetClusterNoCapacity'

onMongo('what the Cloud Scheduler wrote shows immediately, on what has no cluster', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id: clusterId } = await registered(store)
  const [placed, waiting] = [anInstance(0, { cluster_id: clusterId, status: 'RUNNING' }), anInstance(1)]
  const job = await saved(store, aJob({ instance_list: [placed, waiting] }))
  await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { status: FOUND } })
  t.match(await store.jobs.get(job.id), {
    status: FOUND,
    status_reason: `the Cloud Scheduler found: ${FOUND}`,
    instance_list: [{ status: 'RUNNING' }, { status: FOUND, status_reason: `the Cloud Scheduler found: ${FOUND}` }]
  })
  t.equal(await store.jobs.status(job.id), FOUND)
  t.equal((await store.jobs.list({ status: [FOUND] })).length, 1)
  t.match(JSON.parse((await documentsOf(store))[0]!), { status: FOUND })
})

onMongo('a change that was decided before it comes too late, and the next one is decided on it', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id: clusterId } = await registered(store)
  const job = await saved(store, aJob(), { events: [anEvent('asked')] })
  await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { status: FOUND } })
  t.strictSame(await commit(store, on({ ...job, status: 'CLUSTER_SCHEDULED' }, clusterId)), { outcome: 'stale' })
  const after = (await store.jobs.get(job.id))!
  t.match(after, { status: FOUND, revision: job.revision + 1, instance_list: [{ status: FOUND }] })
  t.match(await store.jobs.events(job.id, { limit: 9 }), [{ id: 1, message: 'asked' }, { id: 2, type: 'unplaceable', cause: 'scheduler', to: FOUND }])
  t.equal((await raw.jobs.findOne({}))!.system_manager!.status, FOUND)
  const placed = await saved(store, on({ ...after, status: 'CLUSTER_SCHEDULED' }, clusterId))
  t.match(await raw.jobs.findOne({}), { status: 'CLUSTER_SCHEDULED' })
  t.match(await store.jobs.get(job.id), { status: 'CLUSTER_SCHEDULED', revision: placed.revision })
})

onMongo('a write of the Cloud Scheduler in the very moment of ours is not lost', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  for (let round = 0; round < 30; round++) {
    const job = await saved(store, aJob())
    const [outcome] = await Promise.all([
      commit(store, { ...job, status_reason: 'ours' }),
      raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { status: FOUND } })
    ])
    const after = (await store.jobs.get(job.id))!
    t.equal(after.status, FOUND, `${outcome.outcome}, and then what the Cloud Scheduler found`)
  }
})

onMongo('a late answer of the Cloud Scheduler on what is placed by now changes nothing', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id: clusterId } = await registered(store)
  const job = await saved(store, on({ ...aJob(), status: 'RUNNING' }, clusterId, 'RUNNING'))
  await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { status: FOUND } })
  t.strictSame(await store.jobs.get(job.id), job)
  t.equal(await store.jobs.status(job.id), 'RUNNING')
  await saved(store, { ...job, status_reason: 'still' })
  t.equal((await raw.jobs.findOne({}))!.status, 'RUNNING')
})

onMongo('every process is notified of it', async t => {
  const [one, other] = [await openedMongo(t, uri), await openedMongo(t, uri)]
  const raw = await rawMongo(t, uri)
  const job = await saved(one, aJob())
  // Not the notifications about the job itself.
  await new Promise(resolve => setTimeout(resolve, 2500))
  const notified = [one, other].map(store => new Promise(resolve => store.notifications.once('unplaced', () => resolve(true))))
  await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { status: FOUND } })
  t.strictSame(await Promise.all(notified), [true, true])
  t.match(await other.jobs.get(job.id), { status: FOUND, revision: job.revision + 1 })
})
