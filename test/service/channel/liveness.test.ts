import { once } from 'node:events'
import t from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { openRaw, register, registerRaw, registerRoomy } from './peer.js'

t.test('a pong is a sign of life', async t => {
  const server = await startChannel(t, { PING_INTERVAL_S: 0.3 })
  const peer = await register(t, server.channel)
  const before = (await server.cluster(peer.id)).last_modified_timestamp
  await until(async () => (await server.cluster(peer.id)).last_modified_timestamp > before, 'a sign of life')
  await aWhile(1200)
  t.equal((await server.cluster(peer.id)).connected, true, 'who answers pings stays')
})

t.test('a half-open connection is cut after two pings without a pong', async t => {
  const server = await startChannel(t, { PING_INTERVAL_S: 0.2 })
  const peer = await registerRaw(t, server.port)
  const pings = () => peer.received().split('\x89\x00').length - 1
  await peer.gone
  t.equal(pings(), 2)
  await until(async () => !(await server.cluster(peer.id)).connected)
  t.ok(server.log.some(({ msg }) => /two pings without a pong/.test(msg)))
})

t.test('a pong in between starts the count anew', async t => {
  const server = await startChannel(t, { PING_INTERVAL_S: 0.2 })
  const peer = await registerRaw(t, server.port)
  const pings = () => peer.received().split('\x89\x00').length - 1
  await until(() => pings() === 2)
  peer.send(10, '')
  await peer.gone
  t.equal(pings(), 4)
})

t.test('pongs without a ping are no signs of life', async t => {
  const server = await startChannel(t)
  const peer = await registerRaw(t, server.port)
  const before = (await server.cluster(peer.id)).last_modified_timestamp
  for (let i = 0; i < 1000; i++) peer.send(10, '')
  peer.event('nodes', { count: 3 })
  await until(async () => (await server.cluster(peer.id)).nodes === 3)
  t.equal((await server.cluster(peer.id)).last_modified_timestamp, before)
})

t.test('closing the server sends 1001 to every session, registered or not, and leaves nothing running', async t => {
  const server = await startChannel(t, { PING_INTERVAL_S: 0.05, COMMAND_RESEND_S: 0.05 })
  const peer = await register(t, server.channel)
  const deaf = await openRaw(t, server.port)
  await until(() => deaf.received().includes('sc1'))
  await server.command(peer.id, ['deploy', 'delete'])
  await peer.next('command')
  const since = performance.now()
  await server.close()
  t.ok(performance.now() - since < 5000, 'one that does not answer the closing frame is cut')
  t.equal((await peer.closed).code, 1001)
  t.equal(await deaf.closeCode(), 1001)
  const lines = server.log.length
  await aWhile(200)
  t.same(server.log.slice(lines).filter(({ level }) => level > 30), [])
})

t.test('frames that come after the closing frame change nothing', async t => {
  const server = await startChannel(t)
  const peer = await registerRaw(t, server.port)
  const closing = server.close()
  await peer.closeCode()
  peer.event('information', { cpu_cores: 1 })
  await closing
  t.same(server.log.filter(({ level }) => level > 30), [], 'the store that is gone is not asked')
})

t.test('a connection that breaks is noticed, and its commands wait for the next', async t => {
  const server = await startChannel(t)
  const peer = await registerRaw(t, server.port)
  peer.socket.resetAndDestroy()
  await once(peer.socket, 'close')
  await until(async () => !(await server.cluster(peer.id)).connected)
  await server.command(peer.id, ['delete'])
  t.equal((await (await register(t, server.channel)).next('command')).seq, 1)
})

t.test('the log says when a cluster becomes inactive and active again, and what operators do with it', async t => {
  const server = await startChannel(t, { CLUSTER_GRACE_S: 1, FAILOVER_AFTER_S: 60 })
  const peer = await registerRoomy(t, server)
  const said = (text: string) => server.log.filter(({ msg, cluster }) => msg.startsWith(text) && cluster === 'hpi')
  // The watch has to have seen it active.
  await aWhile(2500)
  server.heartbeat(peer.id)
  await aWhile(600)
  t.equal(said('a cluster is inactive').length, 0)
  peer.close()
  await until(() => said('a cluster is inactive: it has given no sign of life for 1 s').length === 1)
  await server.heartbeat(peer.id)
  await until(() => said('a cluster is active again').length === 1)
  for (const [action, text] of [
    ['drain', 'a cluster is drained'],
    ['uncordon', 'a cluster takes instances again'],
    ['cordon', 'a cluster takes no new instances']
  ] as const) {
    await server.fetch(`/api/v1/clusters/${peer.id}/${action}`, { method: 'POST' })
    t.match(said(text), [{ cluster_id: peer.id, cause: 'user' }])
  }
  await server.fetch(`/api/v1/clusters/${peer.id}`, { method: 'DELETE' })
  t.equal(said('a cluster was deleted').length, 1)
})
