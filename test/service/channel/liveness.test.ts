import t from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { openRaw, register } from './peer.js'

t.test('a pong is a sign of life', async t => {
  const { app, url } = await startChannel(t, { PING_INTERVAL_S: 0.1 })
  const peer = await register(t, url)
  const before = (await app.clusterRegistry.get(peer.id)).last_modified_timestamp
  await until(async () => (await app.clusterRegistry.get(peer.id)).last_modified_timestamp > before, 'a sign of life')
  await aWhile(400)
  t.equal(app.clusterChannel.isConnected(peer.id), true, 'who answers pings stays')
})

t.test('a half-open connection is cut after two pings without a pong', async t => {
  const { app, port } = await startChannel(t, { PING_INTERVAL_S: 0.1 })
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await until(() => peer.received().includes('"sc2"'))
  const id = /"id":"(\w+)"/.exec(peer.received())![1]!
  t.equal(app.clusterChannel.isConnected(id), true)
  const since = Date.now()
  await peer.gone
  t.ok(Date.now() - since >= 150, 'not after the first')
  await until(() => !app.clusterChannel.isConnected(id))
})

t.test('pongs that nobody asked for are not written each', async t => {
  const { app, port } = await startChannel(t)
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await until(() => peer.received().includes('"sc2"'))
  let touches = 0
  app.clusterRegistry.touch = async () => { touches++ }
  for (let i = 0; i < 1000; i++) peer.send(10, '')
  peer.event('nodes', { count: 3 })
  const id = /"id":"(\w+)"/.exec(peer.received())![1]!
  await until(async () => (await app.clusterRegistry.get(id)).nodes === 3)
  t.equal(touches, 0)
})

t.test('closing the server tells 1001 to every session, registered or not, and leaves nothing running', async t => {
  const { app, url, port, command, log } = await startChannel(t, { PING_INTERVAL_S: 0.05, COMMAND_RESEND_S: 0.05 })
  const peer = await register(t, url)
  const deaf = await openRaw(t, port)
  await until(() => deaf.received().includes('sc1'))
  await command(peer.id, ['deploy', 'delete'])
  await peer.next('command')
  const since = Date.now()
  await app.close()
  t.ok(Date.now() - since < 2500, 'one that does not answer the closing frame is cut')
  t.equal((await peer.closed).code, 1001)
  t.equal(await deaf.closeCode(), 1001)
  const lines = log.length
  await aWhile(200)
  t.same(log.slice(lines).filter(line => Number(line.level) > 30), [])
})

t.test('what a cluster said just before the server closes is finished before the store is gone', async t => {
  const { app, url, log } = await startChannel(t, { lifecycle: { heartbeat: async () => { await aWhile(300); await app.clusterRegistry.list(); return { warnings: [] } } } })
  const peer = await register(t, url)
  peer.send('information', {})
  await aWhile(50)
  await app.close()
  t.same(log.filter(line => Number(line.level) > 30), [])
})

t.test('frames that come after the closing frame change nothing', async t => {
  const { app, port, asked } = await startChannel(t)
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await until(() => peer.received().includes('"sc2"'))
  const closing = app.close()
  await peer.closeCode()
  peer.event('information', { cpu_cores: 1 })
  await closing
  t.same(asked, [])
})

t.test('a connection that breaks is noticed, and its commands wait for the next', async t => {
  const { app, url, port, command } = await startChannel(t)
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await until(() => peer.received().includes('"sc2"'))
  const id = /"id":"(\w+)"/.exec(peer.received())![1]!
  peer.socket.resetAndDestroy()
  await until(() => !app.clusterChannel.isConnected(id))
  await command(id, ['delete'])
  t.equal((await (await register(t, url)).next('command')).seq, 1)
})
