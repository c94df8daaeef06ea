import t from 'tap'
import { startChannel, until } from './channel-server.js'
import { openPeer, openRaw, register, registerRoomy } from './peer.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'

t.test('a plain GET is answered with the upgrade that it needs', async t => {
  const server = await startChannel(t)
  const answer = await server.fetch('/register')
  t.equal(answer.status, 426)
  t.equal(answer.headers.get('upgrade'), 'websocket')
  t.match(await answer.text(), /^upgrade_required: .*\n.*hint/)
})

t.test('sc1, cs1, sc2 are exactly the frames of the contract', async t => {
  const server = await startChannel(t, { HEARTBEAT_INTERVAL_S: 7 })
  const peer = await openPeer(t, server.channel)
  t.strictSame(await peer.next('sc1'), { 'Hello-Cluster_Manager': 'please send your cluster info', protocol: 1 })
  peer.send('cs1', { cluster_name: 'hpi', manager_port: 10100, network_component_port: '10110', cluster_info: { gpu: true }, cluster_location: 'potsdam' })
  const sc2 = await peer.next('sc2')
  t.strictSame(sc2, { id: sc2.id, heartbeat_interval_s: 7, resumed: false, next_seq: 1 })
  t.match(sc2.id, /^[0-9a-f]{24}$/)
  t.match(await server.cluster(sc2.id), { cluster_name: 'hpi', ip: '127.0.0.1', port: 10100, network_component_port: 10110, clusterinfo: { gpu: true }, cluster_location: 'potsdam', connected: true, delivery: 'channel' })
  peer.close()
  await until(async () => !(await server.cluster(sc2.id)).connected, 'the end of the channel')
})

t.test('the older shape of cs1 and an advertised address are taken', async t => {
  const server = await startChannel(t)
  const { id } = await register(t, server.channel, { manager_port: undefined, port: '10101', advertise_address: 'hpi.example.org' })
  t.match(await server.cluster(id), { ip: 'hpi.example.org', port: 10101, delivery: 'http' })
})

t.test('a port that none can have, or a name that would write on terminals, is refused', async t => {
  const { channel } = await startChannel(t)
  for (const wrong of [{ port: '0' }, { port: '99999' }, { manager_port: '080' }, { port: 65536 }, { cluster_name: 'a\u001b[2J' }, { cluster_name: 'a\0b' }]) {
    const peer = await openPeer(t, channel)
    await peer.next('sc1')
    peer.send('cs1', { cluster_name: 'hpi', ...wrong })
    t.match(await peer.next('error'), { code: 'data_invalid', message: /^data\.(port|manager_port|cluster_name): / }, JSON.stringify(wrong))
    t.equal((await peer.closed).code, 4000)
  }
})

t.test('registering again on the same channel answers sc2 again; by another name it ends the channel with 4002', async t => {
  const { channel, command, cluster } = await startChannel(t)
  const peer = await register(t, channel)
  await command(peer.id, ['deploy'])
  t.equal((await peer.next('command')).seq, 1)
  peer.send('cs1', { cluster_name: 'hpi' })
  t.strictSame(await peer.next('sc2'), { ...peer.sc2, next_seq: 1 })
  t.equal((await peer.next('command')).seq, 1, 'delivery starts from there again')
  t.equal((await cluster(peer.id)).connected, true)
  peer.send('cs1', { cluster_name: 'tum' })
  t.match(await peer.next('error'), { code: 'already_registered', message: 'data.cluster_name: expected hpi, whose channel this is', event: 'cs1' })
  t.equal((await peer.closed).code, 4002)
  t.equal((await register(t, channel, { cluster_name: 'tum' })).sc2.resumed, false)
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
    const { channel } = await startChannel(t)
    const peer = await openPeer(t, channel)
    await peer.next('sc1')
    peer.raw(text)
    const error = await peer.next('error')
    t.equal(error.code, code)
    t.type(error.message, 'string')
    t.same(await peer.closed, { code: 4000, reason: code })
  })
}

t.test('what is wrong in cs1 is named with its field and what was expected', async t => {
  const { channel } = await startChannel(t)
  for (const [data, message] of [
    [{}, /^data\.cluster_name: expected/],
    [{ cluster_name: 5 }, /^data\.cluster_name: expected 1 to 255 characters/],
    ...['', ' \u00a0', 'a\u0085', 'a\u202eb', '\u2066a', '\u200ea', '\u061ca', 'a\u2028b', 'a\ud800', '\udc00'].map(
      name =>
        [
          { cluster_name: name },
          /^data\.cluster_name: expected 1 to 255 characters on one line, none of which/
        ] as const
    ),
    ...['a\nb', '\u202ea', '\ud800', ' '.repeat(3) + '\u0000'].map(
      place => [{ cluster_name: 'hpi', cluster_location: place }, /^data\.cluster_location: expected/] as const
    ),
    [{ cluster_name: '\ufb2c'.repeat(255) }, /^data\.cluster_name: expected 1 to 255/],
    [
      { cluster_name: 'hpi', manager_port: 0 },
      /^data\.manager_port: expected 1 to 65535, as a number or in digits or null/
    ],
    [{ cluster_name: 'hpi', last_seq: -1 }, /^data\.last_seq: expected a whole number/]
  ] as const) {
    const peer = await openPeer(t, channel)
    await peer.next('sc1')
    peer.send('cs1', data)
    t.match(await peer.next('error'), { code: 'data_invalid', message, event: 'cs1' })
    t.equal((await peer.closed).code, 4000)
  }
})

t.test('however a name is written, it is one cluster, and found as its descriptor writes it', async t => {
  const server = await startChannel(t)
  const before = await register(t, server.channel, { cluster_name: ' Köln \u{1F680}' })
  const first = await registerRoomy(t, server, {
    cluster_name: 'Ko\u0308ln \u{1F680} ',
    cluster_location: 'Düsseldorf '
  })
  t.equal(first.id, before.id)
  t.match(await server.cluster(first.id), { cluster_name: 'Köln \u{1F680}', cluster_location: 'Düsseldorf' })
  for (const [name, place] of [
    ['a', 'Du\u0308sseldorf'],
    ['b', 'Ko\u0308ln \u{1F680}'],
    ['c', 'Düsseldorf']
  ] as const) {
    const answer = await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor(name, `cluster_location: "${place}"\n`)))
    t.equal(answer.status, 201)
    t.match(await first.next('command'), { kind: 'deploy' }, place)
  }
})

t.test('a binary frame is refused', async t => {
  const { channel } = await startChannel(t)
  const peer = await openPeer(t, channel)
  await peer.next('sc1')
  peer.raw(Buffer.from('{"event":"cs1","data":{"cluster_name":"hpi"}}'))
  t.match(await peer.next('error'), { code: 'frame_not_text', message: /text frame/ })
  t.equal((await peer.closed).code, 4000)
})

t.test('a newer session replaces the older with 4001, whose late frames and close change nothing', async t => {
  const server = await startChannel(t)
  const older = await register(t, server.channel)
  const newer = await register(t, server.channel)
  t.equal(newer.id, older.id)
  older.send('nodes', { delta: 99 })
  t.match(await older.next('error'), { code: 'session_replaced' })
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
  newer.send('nodes', { delta: 5 })
  await until(async () => (await server.cluster(newer.id)).nodes > 0)
  t.match(await server.cluster(newer.id), { nodes: 5, connected: true })
  await server.command(newer.id, ['delete'])
  t.equal((await newer.next('command')).seq, 1)
  t.equal(server.log.filter(line => line.level === 30 && line.cluster === 'hpi' && line.cluster_id === newer.id && line.msg === 'a cluster registered').length, 2)
})

t.test('frames that wait when a newer session takes over are dropped', async t => {
  const server = await startChannel(t)
  const flood = 900

  /** How many frames count of those that come just before another session takes over, and what goes on then. */
  async function takeOver (name: string) {
    const older = await register(t, server.channel, { cluster_name: name })
    const peer = await openPeer(t, server.channel)
    await peer.next('sc1')
    for (let i = 0; i < flood; i++) older.send('nodes', { delta: 1 })
    peer.send('cs1', { cluster_name: name })
    const newer = { ...peer, id: ((await peer.next('sc2')) as { id: string }).id }
    t.equal((await older.closed).code, 4001)
    newer.send('information', { cpu_cores: 1 })
    await until(async () => (await server.cluster(newer.id)).total_cpu_cores === 1)
    const counted: number = (await server.cluster(newer.id)).nodes
    return { newer, counted }
  }

  // A fast machine may have written all of them by the time that the registration is done, but not each time.
  let last = await takeOver('hpi')
  for (let tries = 1; tries < 20 && last.counted === flood; tries++) last = await takeOver(`hpi-${tries}`)
  const { newer, counted } = last
  t.ok(counted < flood, `${counted} of ${flood}`)
  newer.send('nodes', { delta: 1 })
  await until(async () => (await server.cluster(newer.id)).nodes === counted + 1)
})

t.test('frames that a cluster sent before it closed its channel still count', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  for (let i = 0; i < 20; i++) peer.send('nodes', { delta: 1 })
  peer.close()
  await until(async () => !(await server.cluster(peer.id)).connected)
  t.equal((await server.cluster(peer.id)).nodes, 20)
})

t.test('a cluster that is removed is closed with 4004; it can come back with a new id', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  t.equal((await server.fetch(`/api/v1/clusters/${peer.id}`, { method: 'DELETE' })).status, 204)
  t.match(await peer.next('error'), { code: 'cluster_removed' })
  t.same(await peer.closed, { code: 4004, reason: 'cluster_removed' })
  t.not((await register(t, server.channel)).id, peer.id)
})

t.test('a cluster that another process removed is closed with 4004 at its next frame', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  await server.store.clusters.remove(peer.id)
  peer.send('information', {})
  t.match(await peer.next('error'), { code: 'cluster_removed', event: 'information' })
  t.equal((await peer.closed).code, 4004)
})

t.test('a cluster that is gone before its registration is answered is not connected', async t => {
  const server = await startChannel(t)
  const ids: string[] = []
  for (let i = 0; i < 10; i++) {
    const peer = await openRaw(t, server.port)
    await until(() => peer.received().includes('sc1'))
    peer.event('cs1', { cluster_name: `c${i}` })
    // Once at once, once a little later.
    if (i % 2 === 0) peer.socket.resetAndDestroy()
    else setImmediate(() => peer.socket.resetAndDestroy())
    await peer.gone
  }
  await until(async () => {
    const { items } = await server.json('/api/v1/clusters') as { items: Array<{ id: string, connected: boolean }> }
    ids.splice(0, ids.length, ...items.map(({ id }) => id))
    return items.every(({ connected }) => !connected)
  })
  t.equal((await server.store.channels.current(ids)).size, 0)
  t.match(await server.text('/metrics'), /^edgeio_cluster_channels_open 0$/m)
})
