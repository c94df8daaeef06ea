import t from 'tap'
import { emptied } from '../../support/database.js'
import { openedMongo, rawMongo } from './mongo-store.js'
import { aJob, saved } from './samples.js'

/** What the emulator has not, on the server that MONGO_URI names in the environment of the tests (docs/database.md). */

const { MONGO_URI: uri = '' } = process.env
const skip = uri === '' && 'MONGO_URI names no MongoDB for tests'

t.test('what is acknowledged is there for reads that a majority confirms', { skip }, async t => {
  await emptied(uri)
  const store = await openedMongo(t, uri)
  await saved(store, aJob())
  t.equal(await (await rawMongo(t, uri)).jobs.countDocuments({}, { readConcern: { level: 'majority' } }), 1)
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
