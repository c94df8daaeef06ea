import t from 'tap'
import { createClient } from '../../../stores/mongodb/client.js'
import { collectionsOf } from '../../../stores/mongodb/collections.js'
import { storeContract } from './contract.js'
import { emptied, openedMongo, openEmpty, rawMongo } from './mongo-store.js'
import { aJob, registered, saved } from './samples.js'

/**
 * What only a real MongoDB has. With MONGO_URI in the environment of the tests (credentials, TLS, replica set and all)
 * these run there; it has to be a server for tests, since its databases are emptied, and one that holds clusters or
 * jobs already is refused.
 */
const { MONGO_URI: uri = '' } = process.env
const skip = uri === '' && 'MONGO_URI names no MongoDB for tests'

async function isUsed (): Promise<boolean> {
  const client = createClient(uri)
  const { clusters, jobs } = collectionsOf(client)
  const used = await clusters.estimatedDocumentCount() + await jobs.estimatedDocumentCount() > 0
  await client.close()
  return used
}
if (!skip && await isUsed()) t.bailout('the server of MONGO_URI holds clusters or jobs: tests would delete them')

t.test('the contract of the store', { skip }, async t => {
  storeContract(t, t => openEmpty(t, uri))
  t.teardown(() => emptied(uri))
})

t.test('writes are acknowledged by a majority, and credentials and TLS of the URI are used', { skip }, async t => {
  await emptied(uri)
  const store = await openedMongo(t, uri)
  await saved(store, aJob())
  t.strictSame(createClient(uri).options.writeConcern, { w: 'majority' })
  t.equal(await (await rawMongo(t, uri)).jobs.countDocuments({}, { readConcern: { level: 'majority' } }), 1)
})

t.test('notifications come by change streams where the server is a replica set', { skip }, async t => {
  await emptied(uri)
  const [one, other] = [await openedMongo(t, uri), await openedMongo(t, uri)]
  const { id } = await registered(one)
  const claimed = new Promise(resolve => other.notifications.once('claims', resolve))
  await one.channels.claim(id, 'process-1')
  t.strictSame(await claimed, [id])
})

t.test('frequent queries use an index', { skip }, async t => {
  await emptied(uri)
  const store = await openedMongo(t, uri)
  await saved(store, aJob())
  const { jobs, clusters, outbox } = await rawMongo(t, uri)
  const queries = [
    jobs.find({ 'system_manager.live_name': 'x' }), jobs.find({ 'system_manager.addresses': 'x' }), jobs.find({ 'instance_list.cluster_id': 'x' }),
    jobs.find({ 'system_manager.unplaced': true }).sort({ _id: 1 }), jobs.find({ 'system_manager.due_at': { $lte: 'x' } }).sort({ 'system_manager.due_at': 1 }),
    jobs.find({ 'system_manager.drafts.command_id': { $exists: true } }), jobs.find({ 'system_manager.underscored_name': null }),
    jobs.find({ status: 'TargetClusterNotFound', 'system_manager.status': { $ne: 'TargetClusterNotFound' } }),
    clusters.find({ 'system_manager.seen_at': { $gt: 1 } }), outbox.find({ open: true, cluster_id: 'x', seq: { $gt: 1 } }).sort({ seq: 1 })
  ]
  for (const query of queries) t.notMatch(JSON.stringify(await query.explain('queryPlanner')), /"COLLSCAN"|"stage":"SORT"/)
})
