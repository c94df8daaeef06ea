import { ObjectId } from 'mongodb'
import { eventually } from '../../support/waiting.js'
import { onMongo, uri } from './on-mongo.js'
import { keptLog, openedMongo, rawMongo } from './mongo-store.js'
import { aCommand, aJob, registered, saved } from './samples.js'

/** What the store does without being asked. */

onMongo('a step of maintenance that fails is logged, and does not keep the others from their work', async t => {
  const raw = await rawMongo(t, uri)
  const log = keptLog()
  const store = await openedMongo(t, uri, { log })
  const { id } = await registered(store)
  const job = await saved(store, aJob())
  // Each of these fails the step that reads it, once a second.
  await raw.notifications.insertMany(Array.from({ length: 100 }, () => ({
    _id: new ObjectId(), at: new Date(), from: 'another', commands: null as never, claims: [], unplaced: false
  })))
  await eventually(async () => log.errors, errors => errors.some(({ details }) => (details as { step?: string }).step === 'notifications'), 20_000)
  await raw.jobs.updateOne({ _id: new ObjectId(job.id) }, { $set: { 'system_manager.drafts': [{ ...aCommand(job, id, 'delete'), command_id: 'left' }] } })
  await eventually(() => store.outbox.pending(id, { after: 0, limit: 9 }), commands => commands.length === 1, 30_000)
})

onMongo('maintenance ends with the store', async t => {
  const raw = await rawMongo(t, uri)
  const store = await openedMongo(t, uri)
  await store.close()
  const _id = new ObjectId()
  await raw.jobs.insertOne({ _id, job_name: 'late.b.c.d', status: 'REQUESTED' })
  await new Promise(resolve => setTimeout(resolve, 2500))
  t.notOk((await raw.jobs.findOne({ _id }))!.system_manager)
})
