import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { openRaw, upgradeRequest } from '../channel/peer.js'
import { openPolling, type Polling } from './polling.js'

const failures = ({ log }: ChannelServer) => log.filter(({ level }) => level >= 50)

async function pollToTheEnd (client: Polling): Promise<void> {
  while ((await client.poll()).status === 200);
}

t.test('what is not Socket.IO is refused, and the server goes on', async t => {
  const server = await startChannel(t)
  const { port } = server
  const base = `http://127.0.0.1:${port}/socket.io/`
  for (const [query, init] of [
    ['', {}],
    ['?EIO=4', {}],
    ['?EIO=99&transport=polling&sid=nobody', {}],
    ['?EIO=4&transport=pigeon', {}],
    ['?EIO=4&transport=websocket', {}],
    ['?EIO=4&transport=polling', { method: 'POST', body: '40' }],
    ['?EIO=4&transport=polling&sid=__proto__', { method: 'POST', body: '40' }]
  ] as const) {
    t.equal((await fetch(base + query, init)).status, 400, query)
  }
  t.equal((await fetch(base, { method: 'DELETE' })).status, 405)
  for (const packets of ['garbage', '4', '42', '42/register,', '42/register,{', '40/register,' + '['.repeat(5000), '42/register,["error",1]', '42/register,["disconnect"]',
    '42/register,["__proto__",{}]', '45-1-/register,["cs1",{"_placeholder":true,"num":0}]', '451-/register,["cs1",{"_placeholder":true,"num":7}]', '43/register,1[]', '\x1e\x1e\x1e', 'b!!!!', '9', '2probe']) {
    const peer = await openPolling(port, 4)
    await peer.post('40/register,')
    await peer.poll()
    t.ok([200, 400].includes((await peer.post(packets)).status), packets.slice(0, 40))
    const again = await openPolling(port, 3)
    t.ok([200, 400].includes((await again.post(`3:40/${packets}`)).status))
    t.ok([200, 400].includes((await again.post('99999999999:40')).status))
    // A session that is being closed waits half a minute for its last poll.
    for (const client of [peer, again]) pollToTheEnd(client).catch(() => {})
  }
  t.equal(await server.text('/status'), 'ok')
  t.same(failures(server), [])
})

t.test('a namespace other than /register is refused', async t => {
  const { port } = await startChannel(t)
  const peer = await openPolling(port, 4)
  await peer.post('40/admin,')
  t.match((await peer.poll()).text, /^44\/admin,.*Invalid namespace/)
})

t.test('a message over 128 KiB is 413, and nothing of it is kept', async t => {
  const server = await startChannel(t)
  const peer = await openPolling(server.port, 4)
  t.equal(peer.open.maxPayload, 128 * 1024)
  await peer.post('40/register,')
  await peer.poll()
  const { status } = await peer.post(
    `42/register,["cs1",{"cluster_name":"hpi","cluster_info":"${'x'.repeat(128 * 1024)}"}]`
  )
  t.equal(status, 413)
  t.same((await server.json('/api/v1/clusters')).items, [])
})

t.test('60 000 levels of JSON are refused, and cost nothing', async t => {
  const server = await startChannel(t)
  for (const field of ['cluster_info', 'cluster_name', 'unknown']) {
    const peer = await openPolling(server.port, 4)
    await peer.post('40/register,')
    await peer.poll()
    const before = process.cpuUsage()
    const deep = '['.repeat(60_000) + ']'.repeat(60_000)
    await peer.post(`42/register,["cs1",{"cluster_name":"hpi","${field}":${deep}}]`)
    if (field !== 'unknown') t.match((await peer.poll()).text, new RegExp(`"data_invalid".*data.${field}: expected`))
    const { user } = process.cpuUsage(before)
    t.ok(user < 500_000, `${user} us of CPU`)
  }
  const { items } = await server.json('/api/v1/clusters')
  t.same(items.map(({ clusterinfo }: { clusterinfo: unknown }) => clusterinfo), [null])
})

t.test('an upgrade to a WebSocket of an unknown session is refused; the raw channel beside it is untouched', async t => {
  const { port } = await startChannel(t)
  const peer = await openRaw(t, port, upgradeRequest({}, '/socket.io/?EIO=4&transport=websocket&sid=nobody'))
  await peer.gone
  t.match(peer.received(), /^HTTP\/1.1 400 /)
  const raw = await openRaw(t, port)
  await until(() => raw.received().includes('"event":"sc1"'))
})

/** A cluster that registers while the database hangs. */
async function registeringInVain (t: Test) {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startChannel(t, { MONGO_URI: database.uri })
  const peer = await openPolling(server.port, 4)
  await peer.post('40/register,')
  await peer.poll()
  await database.freeze()
  await peer.post('42/register,["cs1",{"cluster_name":"hpi"}]')
  return { database, server, peer }
}

t.test('a failing store is an error of the catalogue, and the client is let go', async t => {
  const { database, peer } = await registeringInVain(t)
  let text = ''
  while (!text.includes('41/register')) text += '\x1e' + (await peer.poll()).text
  await peer.poll()
  database.heal()
  t.match(text, /42\/register,\["error",\{"code":"store_unavailable"/)
})

t.test('a registration that is under way when the server closes is finished before the store is gone', async t => {
  const { database, server } = await registeringInVain(t)
  const closing = server.close()
  await aWhile(300)
  database.heal()
  await closing
  const next = await startChannel(t, { MONGO_URI: database.uri })
  t.match((await next.json('/api/v1/clusters')).items, [{ cluster_name: 'hpi' }])
})

t.test('closing the server ends open polls, silent WebSockets and unread requests in time', async t => {
  const server = await startChannel(t)
  const { port } = server
  const polling = await openPolling(port, 4)
  await polling.post('40/register,')
  await polling.poll()
  const poll = polling.poll()
  // It never answers the closing frame.
  const socket = await openRaw(t, port, upgradeRequest({}, '/socket.io/?EIO=4&transport=websocket'))
  await until(() => socket.received().includes('"sid"'))
  // Its body never comes.
  const slow = connect(port, '127.0.0.1')
  slow.on('error', () => {})
  t.teardown(() => slow.destroy())
  await once(slow, 'connect')
  const { open } = await openPolling(port, 4)
  slow.write(`POST /socket.io/?EIO=4&transport=polling&sid=${open.sid} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n4`)
  await aWhile(50)
  const began = performance.now()
  await server.close()
  t.ok(performance.now() - began < 5000, `took ${Math.round(performance.now() - began)} ms`)
  t.match((await poll).text, /41\/register|^1$/)
})
