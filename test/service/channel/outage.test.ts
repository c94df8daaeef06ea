import { ObjectId } from 'bson'
import t from 'tap'
import { startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { rawMongo } from '../stores/mongo-store.js'
import { aWhile, startChannel, until } from './channel-server.js'
import { openPeer, register, registerRoomy } from './peer.js'

/** The database goes silent under open channels, on the database. */

t.test('an ack that cannot be stored does not count: the command comes again and is settled then', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startChannel(t, { MONGO_URI: database.uri, COMMAND_RESEND_S: 0.5 })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await until(() => peer.all('command').length > 0)
  peer.send('ack', { seq: 1 })
  await until(async () => (await server.pending(peer.id)).length === 0)
  await server.undeploy(id)
  const deletes = () => peer.all('command').filter(({ kind }) => kind === 'delete')
  await until(() => deletes().length > 0)

  await database.freeze()
  peer.send('ack', { seq: 2 })
  await until(() => peer.all('error').length > 0)
  t.match(peer.all('error')[0], { code: 'store_unavailable', event: 'ack' })
  await until(() => server.log.some(({ msg }) => /commands could not be read, it is tried again/.test(msg)), 'the delivery to fail as well')
  const before = deletes().length
  database.heal()

  await until(() => deletes().length > before, 'the command to come again')
  t.match(await server.job(id), { status: 'UNDEPLOYING' })
  peer.send('ack', { seq: 2 })
  await until(async () => (await server.store.outbox.position(peer.id)).acked === 2)
  t.equal((await server.job(id)).status, 'UNDEPLOYED')
  t.same(new Set(peer.all('command').map(({ seq }) => seq)), new Set([1, 2]))
})

t.test('a registration that cannot be stored is an error, and can be tried again on the same channel', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startChannel(t, { MONGO_URI: database.uri })
  const peer = await openPeer(t, server.channel)
  await peer.next('sc1')
  await database.freeze()
  peer.send('cs1', { cluster_name: 'hpi' })
  t.match(await peer.next('error'), { code: 'store_unavailable', event: 'cs1' })
  database.heal()
  await until(async () => (await server.fetch('/api/v1/clusters')).status === 200, 'the database')
  peer.send('cs1', { cluster_name: 'hpi' })
  t.match(await peer.next('sc2'), { next_seq: 1 })
})

t.test('a frame received just before the server closes is finished before the store closes', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startChannel(t, { MONGO_URI: database.uri })
  const peer = await register(t, server.channel)
  await database.freeze()
  peer.send('nodes', { count: 7 })
  await aWhile(100)
  const closing = server.close()
  await peer.closed
  await aWhile(100)
  database.heal()
  await closing
  const next = await startChannel(t, { MONGO_URI: database.uri })
  t.equal((await next.cluster(peer.id)).nodes, 7)
  t.same(server.log.filter(({ level }) => level > 40), [])
})

t.test('a stored job that cannot be understood is reported without its content, and the channel goes on', async t => {
  const uri = await startDatabase(t)
  const server = await startChannel(t, { MONGO_URI: uri })
  const peer = await register(t, server.channel)
  const { jobs } = await rawMongo(t, uri)
  const _id = new ObjectId()
  await jobs.insertOne({ _id, job_name: 'demo.default.a.test', system_manager: { job: 'secret' } } as never)
  peer.send('result', { job_id: _id.toHexString(), instances: [] })
  const error = await peer.next('error')
  t.match(error, { code: 'job_unreadable', event: 'result' })
  t.notMatch(JSON.stringify(error), /secret/)
  t.ok(server.log.some(line => line.level === 50 && /cannot be understood/.test(JSON.stringify(line))))
  peer.send('nodes', { count: 1 })
  await until(async () => (await server.cluster(peer.id)).nodes === 1)
})
