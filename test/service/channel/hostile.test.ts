import { request } from 'node:http'
import t, { type Test } from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { frame, openPeer, openRaw, register, upgradeRequest } from './peer.js'

/** A registered client that answers nothing. */
async function registerRaw (t: Test, port: number, name = 'rude') {
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: name })
  await until(() => peer.received().includes('"sc2"'), 'sc2')
  return Object.assign(peer, { id: /"id":"(\w+)"/.exec(peer.received())![1]! })
}

t.test('1 MiB of garbage in a frame, and 1 MiB of garbage instead of frames, end that channel alone', async t => {
  const { app, url, port } = await startChannel(t)
  const good = await register(t, url)
  const peer = await openPeer(t, url)
  peer.raw('x'.repeat(2 ** 20))
  t.equal((await peer.closed).code, 4000)
  const noise = await openRaw(t, port)
  await until(() => noise.received().includes('sc1'))
  noise.socket.write(Buffer.alloc(2 ** 20, 0xff))
  t.equal(await noise.closeCode(), 1002)
  good.send('nodes', { count: 2 })
  await until(async () => (await app.clusterRegistry.get(good.id)).nodes === 2)
})

t.test('JSON of 100 000 levels is refused, before and after registration', async t => {
  const { app, url } = await startChannel(t)
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  const first = await openPeer(t, url)
  first.raw(`{"event":"cs1","data":{"cluster_name":"hpi","cluster_info":${deep}}}`)
  t.equal((await first.closed).code, 4000)
  const peer = await register(t, url)
  for (const field of ['more', 'unknown_field']) {
    peer.raw(`{"event":"information","data":{"${field}":${deep}}}`)
    t.match(await peer.next('error'), { code: 'data_invalid', message: /levels/ })
  }
  peer.send('information', { more: { a: { b: [1] } } })
  await until(async () => (await app.clusterRegistry.get(peer.id)).more !== null)
})

t.test('text that is not UTF-8 closes with 1007', async t => {
  const { port } = await startChannel(t)
  const peer = await registerRaw(t, port)
  peer.send(1, Buffer.from([0x7b, 0xc3, 0x28, 0x7d]))
  t.equal(await peer.closeCode(), 1007)
})

t.test('a frame over 8 MiB closes with 1009 as soon as it says so; one of 8 MiB is taken', async t => {
  const { app, port, url } = await startChannel(t)
  const peer = await registerRaw(t, port)
  peer.send(1, 'x', { claimedLength: 8 * 2 ** 20 + 1 })
  t.equal(await peer.closeCode(), 1009)
  const good = await register(t, url)
  const empty = JSON.stringify({ event: 'information', data: { more: '' } }).length
  good.send('information', { more: 'x'.repeat(8 * 2 ** 20 - empty) })
  await until(async () => (await app.clusterRegistry.get(good.id)).more !== null)
})

t.test('a message in countless fragments is cut off', async t => {
  const { port } = await startChannel(t)
  const peer = await registerRaw(t, port)
  peer.socket.write(Buffer.concat([frame(1, 'x', { final: false }), ...Array.from({ length: 20_000 }, () => frame(0, 'x', { final: false }))]))
  t.ok([1008, 1009].includes(await peer.closeCode()))
})

t.test('more than 1000 frames in one go end the channel with 4013', async t => {
  const { app, port } = await startChannel(t, { lifecycle: { heartbeat: async () => { await aWhile(20); return { warnings: [] } } } })
  const peer = await registerRaw(t, port)
  const tiny = frame(1, '{"event":"information","data":{}}')
  peer.socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => tiny)))
  t.equal(await peer.closeCode(), 4013)
  await until(() => !app.clusterChannel.isConnected(peer.id))
})

t.test('a cluster that does not read holds a bounded part of memory and nobody else up', async t => {
  const { app, url, port, command } = await startChannel(t)
  const slow = await registerRaw(t, port, 'slow')
  slow.socket.pause()
  await aWhile(50)
  // 64 documents of 200 kB are more than the network will hold for it.
  await command(slow.id, Array.from({ length: 100 }, () => 'deploy'), { descriptor: { ...plainDescriptor, environment: { BIG: 'x'.repeat(200_000) } } })
  await aWhile(300)
  const [socket] = [...app.websocketServer.clients]
  t.ok(socket!.bufferedAmount > 0, 'it is stalled')
  t.ok(socket!.bufferedAmount < 1.5 * 2 ** 20, `${socket!.bufferedAmount} bytes wait`)
  // Errors do not pile up either.
  for (let i = 0; i < 400; i++) {
    slow.send(1, 'bad')
    slow.event('nodes', { delta: 1 })
  }
  const quick = await register(t, url, { cluster_name: 'quick' })
  await command(quick.id, Array.from({ length: 20 }, () => 'deploy'))
  await until(() => quick.all('command').length === 20)
  await until(async () => (await app.clusterRegistry.get(slow.id)).nodes === 400, 'what it says itself')
  t.ok(socket!.bufferedAmount < 1.5 * 2 ** 20, `${socket!.bufferedAmount} bytes wait`)
  slow.socket.resume()
  await until(() => slow.received().match(/"event":"command"/g)?.length === 64, 'the rest, once it reads')
})

const plainDescriptor = { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: 'big', service_ns: 'test', image: 'nginx', image_runtime: 'docker' }

t.test('cs1 over and over by a cluster that does not read ends its channel', async t => {
  const { app, url, port, command } = await startChannel(t)
  const first = await register(t, url, { cluster_name: 'slow' })
  await command(first.id, ['deploy'], { descriptor: { ...plainDescriptor, environment: { BIG: 'x'.repeat(900_000) } } })
  await first.next('command')
  first.send('ack', { seq: 1 })
  await until(async () => (await app.store.outbox.position(first.id)).acked === 1)
  const slow = await registerRaw(t, port, 'slow')
  slow.socket.pause()
  for (let i = 0; i < 50; i++) slow.event('cs1', { cluster_name: 'slow' })
  const [socket] = [...app.websocketServer.clients].slice(-1)
  let most = 0
  await until(() => {
    most = Math.max(most, socket!.bufferedAmount)
    return !app.clusterChannel.isConnected(slow.id)
  }, 'the end of the channel')
  t.ok(most < 4 * 2 ** 20, `${most} bytes waited at most`)
})

for (const [what, headers, status] of [
  ['without a key', { 'Sec-WebSocket-Key': undefined }, 400],
  ['with a malformed key', { 'Sec-WebSocket-Key': 'short' }, 400],
  ['without a version', { 'Sec-WebSocket-Version': undefined }, 400],
  ['of an old version', { 'Sec-WebSocket-Version': '7' }, 400]
] as const) {
  t.test(`an upgrade ${what} is answered with ${status} and hung up`, async t => {
    const { port } = await startChannel(t)
    const peer = await openRaw(t, port, upgradeRequest(headers))
    await peer.gone
    t.match(peer.received(), new RegExp(`^HTTP/1.1 ${status} `))
  })
}

t.test('upgrades of other paths are answered as if they were none', async t => {
  const { port } = await startChannel(t)
  for (const [path, status] of [['/no-such-path', 404], ['/register/', 404], ['/register/x', 404], ['/plain', 200]] as const) {
    const peer = await openRaw(t, port, upgradeRequest({}, path))
    await until(() => peer.received().length > 0)
    t.match(peer.received(), new RegExp(`^HTTP/1.1 ${status} `), path)
    peer.socket.end()
    await peer.gone
  }
})

t.test('an offer of HTTP/2 with a request is ignored, with a body too, and the connection is kept', async t => {
  const { port } = await startChannel(t)
  const ask = (method: string, path: string, body = '') => new Promise<[number | undefined, string]>((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path, method, headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__', 'content-type': 'application/json', 'content-length': body.length } })
    asked.on('error', reject)
    asked.on('response', response => {
      let text = ''
      response.on('data', chunk => { text += String(chunk) })
      response.on('end', () => resolve([response.statusCode, text]))
    })
    asked.end(body)
  })
  t.same(await ask('GET', '/plain'), [200, 'plain'])
  const body = JSON.stringify({ text: 'é'.repeat(5) }).replaceAll('é', 'e') + ' '.repeat(300_000)
  t.same(await ask('POST', '/plain', body), [200, '{"text":"eeeee"}'])
  t.equal((await ask('GET', '/register'))[0], 426)
})
