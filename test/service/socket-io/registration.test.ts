import { io, type Socket } from 'socket.io-client'
import t, { type Test } from 'tap'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { register } from '../channel/peer.js'
import { eio3, openPolling } from './polling.js'

const CS1 = { manager_port: 10100, network_component_port: '10110', cluster_name: 'hpi', cluster_info: { gpu: true }, cluster_location: 'potsdam' }

const clusters = async (server: ChannelServer): Promise<any[]> => (await server.json('/api/v1/clusters')).items

/** The official client. Gives what came, in order, until the connection ended. */
async function officialClient (t: Test, port: number, transports: string[], ...cs1: unknown[]): Promise<Array<[string, ...any[]]>> {
  const socket: Socket = io(`http://127.0.0.1:${port}/register`, { transports, reconnection: false, forceNew: true })
  t.teardown(() => socket.close())
  const seen: Array<[string, ...any[]]> = []
  socket.onAny((event, ...args) => {
    seen.push([event, ...args])
    if (event === 'sc1') socket.emit('cs1', ...cs1)
    if (event === 'sc2') socket.disconnect()
  })
  return await new Promise((resolve, reject) => {
    socket.on('disconnect', reason => {
      seen.push(['disconnect', reason])
      resolve(seen)
    })
    socket.on('connect_error', reject)
  })
}

for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  t.test(`the official client registers by ${transports.join(', then ')}`, async t => {
    const server = await startChannel(t)
    const { port } = server
    const seen = await officialClient(t, port, transports, CS1)
    const id = JSON.parse(seen[1]![1]).id
    t.strictSame(seen, [
      ['sc1', { 'Hello-Cluster_Manager': 'please send your cluster info' }],
      ['sc2', `{"id":"${id}"}`],
      ['disconnect', 'io client disconnect']
    ])
    t.match(await server.cluster(id), { cluster_name: 'hpi', ip: '127.0.0.1', port: 10100, network_component_port: 10110, clusterinfo: { gpu: true }, cluster_location: 'potsdam' })
  })
}

t.test('both shapes of cs1 are taken, a location that is null or missing, and an advertised address', async t => {
  const server = await startChannel(t)
  const { port } = server
  for (const [cs1, expected] of [
    [{ port: 10101, cluster_name: 'older', cluster_info: {}, cluster_location: null }, { port: 10101, network_component_port: null, cluster_location: null, ip: '127.0.0.1' }],
    [{ manager_port: '10102', cluster_name: 'newer', cluster_info: null }, { port: 10102, cluster_location: null }],
    [{ manager_port: 10103, cluster_name: 'behind a bridge', advertise_address: '192.168.178.40' }, { ip: '192.168.178.40' }],
    [{ manager_port: 10104, cluster_name: 'without an advertised address', advertise_address: null }, { ip: '127.0.0.1' }]
  ] as const) {
    const seen = await officialClient(t, port, ['polling'], cs1)
    t.match(await server.cluster(JSON.parse(seen[1]![1]).id), expected, cs1.cluster_name)
  }
})

t.test('a cluster is known by its name, whichever way it registers', async t => {
  const { port, channel } = await startChannel(t)
  const { id } = await register(t, channel, { cluster_name: 'hpi' })
  const [, sc2] = await officialClient(t, port, ['polling'], CS1)
  t.equal(JSON.parse(sc2![1]).id, id)
})

for (const [what, cs1, message] of [
  ['nothing', [], /^data: expected an object/],
  ['a text', ['hello'], /^data: expected an object/],
  ['JSON in a text', [JSON.stringify(CS1)], /^data: expected an object/],
  ['no name', [{ manager_port: 1 }], /^data\.cluster_name: expected/],
  ['a port out of range', [{ ...CS1, manager_port: 70000 }], /^data\.manager_port: expected/],
  ['a file', [Buffer.from('x')], /^data: expected an object|^data\.cluster_name: expected/],
  [
    'far too many levels',
    [{ ...CS1, cluster_info: JSON.parse('['.repeat(500) + ']'.repeat(500)) }],
    /at most 32 levels/
  ]
] as const) {
  t.test(`a cs1 with ${what} is answered with the reason and let go`, async t => {
    const server = await startChannel(t)
    const { port } = server
    const seen = await officialClient(t, port, ['polling'], ...cs1)
    t.match(seen.slice(1), [
      ['error', { code: 'data_invalid', message, event: 'cs1' }],
      ['disconnect', 'io server disconnect']
    ])
    t.same(await clusters(server), [])
  })
}

t.test('Engine.IO 3 in long polling, byte for byte', async t => {
  const server = await startChannel(t)
  const { port } = server
  const peer = await openPolling(port, 3)
  t.equal((await peer.poll()).text, eio3('40'))
  t.same(await peer.post(eio3('40/register')), { status: 200, text: 'ok' })
  let got = ''
  while (!got.includes('sc1')) got += (await peer.poll()).text
  t.equal(got, eio3('40/register,') + eio3('42/register,["sc1",{"Hello-Cluster_Manager":"please send your cluster info"}]'))
  await peer.post(eio3(`42/register,["cs1",${JSON.stringify(CS1)}]`))
  const [cluster] = await clusters(server)
  t.equal((await peer.poll()).text, eio3(`42/register,["sc2","{\\"id\\":\\"${cluster!.id}\\"}"]`))
  t.same(await peer.post(eio3('41/register')), { status: 200, text: 'ok' })
})

t.test('a cs1 that comes twice counts once', async t => {
  const server = await startChannel(t)
  const { port } = server
  const peer = await openPolling(port, 4)
  await peer.post('40/register,')
  await peer.poll()
  const cs1 = (name: string) => `42/register,["cs1",{"cluster_name":"${name}"}]`
  await peer.post([cs1('hpi'), cs1('tum')].join('\x1e'))
  await until(async () => (await clusters(server)).length > 0)
  await aWhile()
  t.same((await clusters(server)).map(({ cluster_name }) => cluster_name), ['hpi'])
})
