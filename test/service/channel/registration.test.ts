import t from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { openPeer, register } from './peer.js'

t.test('a plain GET is told to upgrade', async t => {
  const { app } = await startChannel(t)
  const answer = await app.inject('/register')
  t.equal(answer.statusCode, 426)
  t.equal(answer.headers.upgrade, 'websocket')
  t.match(answer.body, /^upgrade_required: .*\n.*hint/)
})

t.test('sc1, cs1, sc2 are exactly the frames of the contract', async t => {
  const { app, url } = await startChannel(t, { HEARTBEAT_INTERVAL_S: 7 })
  const peer = await openPeer(t, url)
  t.strictSame(await peer.next('sc1'), { 'Hello-Cluster_Manager': 'please send your cluster info', protocol: 1 })
  peer.send('cs1', { cluster_name: 'hpi', manager_port: 10100, network_component_port: '10110', cluster_info: { gpu: true }, cluster_location: 'potsdam' })
  const sc2 = await peer.next('sc2')
  t.strictSame(sc2, { id: sc2.id, heartbeat_interval_s: 7, resumed: false, next_seq: 1 })
  t.match(sc2.id, /^[0-9a-f]{24}$/)
  t.match(await app.clusterRegistry.get(sc2.id), { cluster_name: 'hpi', ip: '127.0.0.1', port: 10100, network_component_port: 10110, clusterinfo: { gpu: true }, cluster_location: 'potsdam' })
  t.equal(app.clusterChannel.isConnected(sc2.id), true)
  peer.close()
  await until(() => !app.clusterChannel.isConnected(sc2.id), 'the cluster to be disconnected')
})

t.test('the older shape of cs1 and an advertised address are taken', async t => {
  const { app, url } = await startChannel(t)
  const { id } = await register(t, url, { manager_port: undefined, port: '10101', advertise_address: 'hpi.example.org' })
  t.match(await app.clusterRegistry.get(id), { ip: 'hpi.example.org', port: 10101 })
})

t.test('a port that none can have, or a name that would write on terminals, is refused', async t => {
  const { url } = await startChannel(t)
  for (const wrong of [{ port: '0' }, { port: '99999' }, { manager_port: '080' }, { port: 65536 }, { cluster_name: 'a\u001b[2J' }, { cluster_name: 'a\0b' }]) {
    const peer = await openPeer(t, url)
    await peer.next('sc1')
    peer.send('cs1', { cluster_name: 'hpi', ...wrong })
    t.match(await peer.next('error'), { code: 'data_invalid', message: /^data\.(port|manager_port|cluster_name): / }, JSON.stringify(wrong))
    t.equal((await peer.closed).code, 4000)
  }
})

t.test('registering again on the same channel answers sc2 again; by another name it ends the channel with 4002', async t => {
  const { url, command } = await startChannel(t)
  const peer = await register(t, url)
  await command(peer.id, ['deploy'])
  t.equal((await peer.next('command')).seq, 1)
  peer.send('cs1', { cluster_name: 'hpi' })
  t.strictSame(await peer.next('sc2'), { ...peer.sc2, next_seq: 1 })
  t.equal((await peer.next('command')).seq, 1, 'delivery starts from there again')
  peer.send('cs1', { cluster_name: 'tum' })
  t.match(await peer.next('error'), { code: 'already_registered', event: 'cs1' })
  t.equal((await peer.closed).code, 4002)
})

for (const [what, text, code] of [
  ['what is not JSON', '{"event":', 'json_invalid'],
  ['an array', '[]', 'frame_malformed'],
  ['null', 'null', 'frame_malformed'],
  ['a frame without an event', '{"data":{}}', 'frame_malformed'],
  ['an unknown event', '{"event":"__proto__","data":{}}', 'event_unknown'],
  ['another event first', '{"event":"ack","data":{"seq":1}}', 'not_registered'],
  ['cs1 without data', '{"event":"cs1"}', 'data_invalid']
] as const) {
  t.test(`before registration ${what} is fatal: ${code}, 4000`, async t => {
    const { url } = await startChannel(t)
    const peer = await openPeer(t, url)
    await peer.next('sc1')
    peer.raw(text)
    const error = await peer.next('error')
    t.equal(error.code, code)
    t.type(error.message, 'string')
    t.same(await peer.closed, { code: 4000, reason: code })
  })
}

t.test('what is wrong in cs1 is named with its field and what was expected', async t => {
  const { url } = await startChannel(t)
  for (const [data, message] of [
    [{}, /^data\.cluster_name: expected/],
    [{ cluster_name: 5 }, /^data\.cluster_name: expected string/],
    [{ cluster_name: 'hpi', manager_port: 0 }, /^data\.manager_port: expected integer.* or .*string.* or .*null/],
    [{ cluster_name: 'hpi', last_seq: -1 }, /^data\.last_seq: expected integer/]
  ] as const) {
    const peer = await openPeer(t, url)
    await peer.next('sc1')
    peer.send('cs1', data)
    t.match(await peer.next('error'), { code: 'data_invalid', message, event: 'cs1' })
    t.equal((await peer.closed).code, 4000)
  }
})

t.test('a binary frame is refused', async t => {
  const { url } = await startChannel(t)
  const peer = await openPeer(t, url)
  await peer.next('sc1')
  peer.raw(Buffer.from('{"event":"cs1","data":{"cluster_name":"hpi"}}'))
  t.match(await peer.next('error'), { message: /text frame/ })
  t.equal((await peer.closed).code, 4000)
})

t.test('a newer session replaces the older with 4001, whose late frames and close change nothing', async t => {
  const { app, url, asked, log } = await startChannel(t)
  const older = await register(t, url)
  const newer = await register(t, url)
  t.equal(newer.id, older.id)
  older.send('information', { cpu_cores: 99 })
  t.match(await older.next('error'), { code: 'session_replaced' })
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
  await aWhile()
  t.equal(app.clusterChannel.isConnected(newer.id), true)
  t.same(asked, [])
  newer.send('information', { cpu_cores: 5 })
  await until(() => asked.length === 1)
  t.equal(log.filter(line => line.level === 30 && line.cluster === 'hpi' && line.cluster_id === newer.id && line.msg === 'a cluster registered').length, 2)
})

t.test('frames that wait when a newer session takes over are dropped', async t => {
  let release = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  let results = 0
  const { url } = await startChannel(t, {
    lifecycle: {
      heartbeat: async () => { await held; return { warnings: [] } },
      result: async () => { results++ }
    }
  })
  const older = await register(t, url)
  older.send('information', {})
  for (let i = 0; i < 10; i++) older.send('result', { job_id: 'a'.repeat(24), instances: [] })
  await aWhile(50)
  const newer = await register(t, url)
  t.equal((await older.closed).code, 4001)
  release()
  await aWhile()
  t.equal(results, 0)
  newer.send('result', { job_id: 'a'.repeat(24), instances: [] })
  await until(() => results === 1)
})

t.test('what a cluster said before it closed by itself still counts', async t => {
  const { url, asked } = await startChannel(t, { lifecycle: { result: async () => { await aWhile(5) } } })
  const peer = await register(t, url)
  for (let i = 0; i < 20; i++) peer.send('result', { job_id: 'a'.repeat(24), instances: [{ instance_number: i }] })
  peer.close()
  await until(() => asked.length === 20)
  t.same(asked.map(({ args: [body] }) => (body as { instances: Array<{ instance_number: number }> }).instances[0]?.instance_number), Array.from({ length: 20 }, (_, i) => i))
})

t.test('a cluster that is removed is told so and closed with 4004; it can come back with a new id', async t => {
  const { app, url } = await startChannel(t)
  const peer = await register(t, url)
  await app.clusterRegistry.remove(peer.id)
  t.match(await peer.next('error'), { code: 'cluster_removed' })
  t.equal((await peer.closed).code, 4004)
  t.not((await register(t, url)).id, peer.id)
})

t.test('a registration that cannot be stored is told, and can be tried again on the same channel', async t => {
  const { app, url } = await startChannel(t)
  const { register: real } = app.clusterRegistry
  let fails = true
  app.clusterRegistry.register = async (...args) => {
    if (fails) throw new Error('the disk is on fire')
    return await real(...args)
  }
  const peer = await openPeer(t, url)
  await peer.next('sc1')
  peer.send('cs1', { cluster_name: 'hpi' })
  t.match(await peer.next('error'), { code: 'internal_error', message: /^(?!.*fire)/, event: 'cs1' })
  fails = false
  peer.send('cs1', { cluster_name: 'hpi' })
  t.match(await peer.next('sc2'), { next_seq: 1 })
})
