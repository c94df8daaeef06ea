import t, { type Test } from 'tap'
import { startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { register, registerRoomy } from '../channel/peer.js'
import { registerOverSocketIo, startClusterManager } from './cluster-manager.js'
import { settled } from './pair.js'

const database = await startMongoProxy(t, await startDatabase(t, { changeStreams: true }))

/** Two System Managers on one database. */
async function startTwo (t: Test, settings: Parameters<typeof startChannel>[1] = {}): Promise<[ChannelServer, ChannelServer]> {
  const start = () => startChannel(t, { MONGO_URI: database.uri, ...settings })
  return [await start(), await start()]
}

t.test('a newer session with another System Manager replaces the older one, whose end changes nothing', async t => {
  const [a, b] = await startTwo(t, { SWEEP_S: 60 })
  const older = await register(t, a.channel)
  t.equal((await b.cluster(older.id)).connected, true, 'seen by the other')
  const newer = await register(t, b.channel)
  t.equal(newer.id, older.id)
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
  // What it still holds by then would be taken away by the end of the older.
  await a.close()
  t.equal((await b.cluster(newer.id)).connected, true)
  await b.command(newer.id, ['deploy'])
  newer.close()
  await until(async () => !(await b.cluster(newer.id)).connected, 'its own end')
})

t.test('commands that one writes are delivered by the one with the channel, as soon as it hears of them', async t => {
  const [a, b] = await startTwo(t, { SWEEP_S: 60 })
  const peer = await registerRoomy(t, a, { cluster_name: 'aws', cluster_location: 'aws' })
  const id = await b.deploy('a', 'cluster_location: aws\n')
  t.match(await peer.next('command'), { seq: 1, kind: 'deploy', job_id: id })
  await b.undeploy(id)
  t.match(await peer.next('command'), { seq: 2, kind: 'delete', job_id: id })
})

t.test('a newer session elsewhere, of which no notification came, is found by looking', async t => {
  const server = await startChannel(t, { MONGO_URI: database.uri })
  const older = await register(t, server.channel, { cluster_name: 'dus' })
  // Rows alone: nothing is published about them.
  await server.store.channels.claim(older.id, 'another')
  await server.store.leases.acquire('process/another', 'another', 60_000)
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
})

t.test('only one pushes, none to a cluster whose channel is with the other, and the other takes over', async t => {
  const [a, b] = await startTwo(t)
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(b.port, { cluster_name: 'tum', manager_port: manager.port, cluster_location: 'tum' })
  await Promise.all([a, b].flatMap(server => Array.from({ length: 3 }, () => server.command(id, ['deploy']))))
  await until(() => manager.calls.length === 6, '6 calls')
  await settled(a, id)
  t.equal(manager.calls.length, 6)

  const peer = await register(t, b.channel, { cluster_name: 'tum', cluster_location: 'tum', manager_port: manager.port, advertise_address: '127.0.0.1', last_seq: 6 })
  await a.command(id, ['deploy'])
  await peer.next('command')
  peer.send('ack', { seq: 7 })
  await settled(a, id)
  peer.close()
  await until(async () => !(await a.cluster(id)).connected)
  t.equal(manager.calls.length, 6)

  // It gives its leases back: the other does not wait for them to run out.
  await a.close()
  await b.command(id, ['deploy'])
  await until(() => manager.calls.length === 7, 'the other to push')
})

t.test('a database that is silent for a while delays a push and loses none', async t => {
  const server = await startChannel(t, { MONGO_URI: database.uri, CLUSTER_ANSWER_S: 1 })
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(server.port, { cluster_name: 'bln', cluster_location: 'bln', manager_port: manager.port })
  await server.heartbeat(id)
  let answer = () => {}
  manager.answer = (_call, reply) => { answer = () => reply.end('ok') }
  const job = await server.deploy('waits', 'cluster_location: bln\n')
  await manager.take()
  manager.answer = (_call, reply) => reply.end('ok')
  await database.freeze()
  answer()
  await until(() => server.log.some(({ msg }) => msg === 'pushing commands failed, it is tried again'))
  database.heal()
  await until(async () => (await server.fetch('/api/v1/clusters')).status === 200, 'the database')
  await settled(server, id)
  t.match(await server.job(job), { status: 'CLUSTER_SCHEDULED' })
})
