import { request } from 'node:http'
import t from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { frame, openPeer, openRaw, register, registerRaw, upgradeRequest } from './peer.js'

t.test('1 MiB of garbage in a frame, and 1 MiB of garbage instead of frames, end that channel alone', async t => {
  const server = await startChannel(t)
  const good = await register(t, server.channel)
  const peer = await openPeer(t, server.channel)
  peer.raw('x'.repeat(2 ** 20))
  t.equal((await peer.closed).code, 1009)
  const noise = await openRaw(t, server.port)
  await until(() => noise.received().includes('sc1'))
  noise.socket.write(Buffer.alloc(2 ** 20, 0xff))
  t.equal(await noise.closeCode(), 1002)
  good.send('nodes', { count: 2 })
  await until(async () => (await server.cluster(good.id)).nodes === 2)
})

const levels = (count: number) => '['.repeat(count) + ']'.repeat(count)

t.test('JSON of 64 levels and more is refused, before and after registration', async t => {
  const server = await startChannel(t)
  const first = await openPeer(t, server.channel)
  first.raw(`{"event":"cs1","data":{"cluster_name":"hpi","cluster_info":${levels(30_000)}}}`)
  t.equal((await first.closed).code, 4000)
  const peer = await register(t, server.channel)
  for (const [field, count] of [['more', 100_000], ['unknown_field', 100_000], ['more', 62]] as const) {
    peer.raw(`{"event":"information","data":{"${field}":${levels(count)}}}`)
    t.match(await peer.next('error'), { code: 'json_invalid', message: /of at most 63 levels/ })
  }
  peer.raw(`{"event":"information","data":{"more":${levels(32)}}}`)
  await until(async () => (await server.cluster(peer.id)).more !== null)
})

t.test(
  'a field of a heartbeat that is too deep or too large is left out with a warning, and the rest counts',
  async t => {
    const server = await startChannel(t)
    const peer = await register(t, server.channel)
    const worker = { name: 'w1', cpu_cores: 1, memory_in_mb: 1 }
    peer.send('information', {
      cpu_cores: 7,
      more: JSON.parse(levels(33)),
      workers: [
        { ...worker, gpu: 'x'.repeat(2 ** 16) },
        { ...worker, name: 'w2', gpu: 'yes' }
      ]
    })
    t.match(await peer.next('error'), {
      code: 'heartbeat_entry_invalid',
      message:
        'workers[0]: expected at most 32 levels of objects and arrays, 64 KiB as JSON; it was left out; ' +
        'more: expected at most 32 levels of objects and arrays, 64 KiB as JSON; it was left out'
    })
    const { total_cpu_cores: cores, more, workers, warnings } = await server.cluster(peer.id)
    t.same([cores, more, workers, warnings.length], [7, null, [worker, { ...worker, name: 'w2', gpu: 'yes' }], 2])
  }
)

t.test(
  'a cluster_info that is too deep or too large does not register, over the channel and over Socket.IO',
  async t => {
    const server = await startChannel(t)
    for (const info of [JSON.parse(levels(33)), 'x'.repeat(2 ** 16 + 1)]) {
      const peer = await openPeer(t, server.channel)
      peer.send('cs1', { cluster_name: 'hpi', cluster_info: info })
      await peer.next('sc1')
      t.match(await peer.next('error'), {
        code: 'data_invalid',
        message: /^data.cluster_info: expected JSON: .*|at most 32 levels/
      })
      t.equal((await peer.closed).code, 4000)
    }
  }
)

t.test('before cs1 only small frames are read, after it those that the cluster has reason for', async t => {
  const server = await startChannel(t)
  const unknown = await openRaw(t, server.port)
  await until(() => unknown.received().includes('sc1'))
  unknown.socket.write(frame(1, 'x'.repeat(200 * 1024), { claimedLength: 8 * 2 ** 20 }))
  t.equal(await unknown.closeCode(), 1009)
  const cs1 = JSON.stringify({ event: 'cs1', data: { cluster_name: 'x', padding: '' } })
  for (const [size, code] of [[128 * 1024 + 1, 1009], [128 * 1024, undefined]] as const) {
    const peer = await openPeer(t, server.channel)
    peer.raw(cs1.replace('""', `"${'x'.repeat(size - cs1.length)}"`))
    await peer.next('sc1')
    if (code === undefined) t.ok(await peer.next('sc2'))
    else t.equal((await peer.closed).code, code)
  }
  const peer = await register(t, server.channel)
  peer.send('information', { padding: 'x'.repeat(256 * 1024) })
  t.match(await peer.next('error'), { code: 'frame_too_large' })
  for (let i = 0; i < 16; i++) await server.command(peer.id, [])
  peer.send('information', { cpu_cores: 3, padding: 'x'.repeat(500 * 1024) })
  await until(async () => (await server.cluster(peer.id)).total_cpu_cores === 3)
})

t.test('text that is not UTF-8 closes with 1007', async t => {
  const { port } = await startChannel(t)
  const peer = await registerRaw(t, port)
  peer.send(1, Buffer.from([0x7b, 0xc3, 0x28, 0x7d]))
  t.equal(await peer.closeCode(), 1007)
})

t.test('a frame over 8 MiB closes with 1009 as soon as its length is known', async t => {
  const server = await startChannel(t)
  const peer = await registerRaw(t, server.port)
  peer.send(1, 'x', { claimedLength: 8 * 2 ** 20 + 1 })
  t.equal(await peer.closeCode(), 1009)
})

t.test('a message in countless fragments is cut off', async t => {
  const { port } = await startChannel(t)
  const peer = await registerRaw(t, port)
  peer.socket.write(Buffer.concat([frame(1, 'x', { final: false }), ...Array.from({ length: 20_000 }, () => frame(0, 'x', { final: false }))]))
  t.ok([1008, 1009].includes(await peer.closeCode()))
})

t.test('more than 1000 frames in one go end the channel with 4013', async t => {
  const server = await startChannel(t)
  const peer = await registerRaw(t, server.port)
  const tiny = frame(1, '{"event":"nodes","data":{"delta":1}}')
  peer.socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => tiny)))
  t.equal(await peer.closeCode(), 4013)
  t.match(peer.received(), /"code":"too_many_frames","message":"more frames came at once than can wait for their turn"/)
  await until(async () => !(await server.cluster(peer.id)).connected)
  const { nodes } = await server.cluster(peer.id)
  t.ok(nodes < 20_000, `${nodes} were taken`)
  await aWhile()
  t.equal((await server.cluster(peer.id)).nodes, nodes, 'what waits is forgotten')
})

const bigDescriptor = (bytes: number) => ({ descriptor: { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: 'big', service_ns: 'test', image: 'nginx', image_runtime: 'docker', environment: { BIG: 'x'.repeat(bytes) } } })

t.test('a cluster that does not read holds a bounded part of memory and nobody else up', async t => {
  // Seldom enough that the rest is not sent by sweeps.
  const server = await startChannel(t, { SWEEP_S: 3 })
  const slow = await registerRaw(t, server.port, 'slow')
  slow.socket.pause()
  // 64 documents of 200 kB are more than the network holds for it.
  await server.command(slow.id, Array.from({ length: 100 }, () => 'deploy'), bigDescriptor(200_000))
  await until(() => server.waiting() > 0, 'it to be stalled')
  await aWhile(300)
  t.ok(server.waiting() < 1.5 * 2 ** 20, `${server.waiting()} bytes wait`)
  // Errors do not pile up either.
  for (let i = 0; i < 400; i++) {
    slow.send(1, 'bad')
    slow.event('nodes', { delta: 1 })
  }
  const quick = await register(t, server.channel, { cluster_name: 'quick' })
  await server.command(quick.id, Array.from({ length: 20 }, () => 'deploy'))
  await until(() => quick.all('command').length === 20)
  await until(async () => (await server.cluster(slow.id)).nodes === 400, 'what it says itself')
  t.ok(server.waiting() < 1.5 * 2 ** 20, `${server.waiting()} bytes wait`)
  slow.socket.resume()
  await until(() => slow.received().match(/"event":"command"/g)?.length === 64, 'the rest, once it reads')
})

t.test('cs1 over and over by a cluster that does not read ends its channel', async t => {
  const server = await startChannel(t)
  const first = await register(t, server.channel, { cluster_name: 'slow' })
  await server.command(first.id, ['deploy'], bigDescriptor(900_000))
  await first.next('command')
  first.send('ack', { seq: 1 })
  await until(async () => (await server.store.outbox.position(first.id)).acked === 1)
  first.close()
  await first.closed
  const slow = await registerRaw(t, server.port, 'slow')
  slow.socket.pause()
  for (let i = 0; i < 50; i++) slow.event('cs1', { cluster_name: 'slow' })
  let most = 0
  await until(async () => {
    most = Math.max(most, server.waiting())
    return !(await server.cluster(slow.id)).connected
  }, 'the end of the channel')
  t.ok(most < 4 * 2 ** 20, `${most} bytes waited at most`)
  t.match(server.log.filter(({ msg }) => msg === 'a cluster got an error').at(-1), { code: 'too_many_frames', event: 'cs1' })
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
  for (const [path, status] of [['/no-such-path', 404], ['/register/', 404], ['/register/x', 404], ['/api/jobs', 200]] as const) {
    const peer = await openRaw(t, port, upgradeRequest({}, path))
    await until(() => peer.received().length > 0)
    t.match(peer.received(), new RegExp(`^HTTP/1.1 ${status} `), path)
    peer.socket.end()
    await peer.gone
  }
})

t.test('an offer of HTTP/2 with a request is ignored, with a body too, and the connection is kept', async t => {
  const server = await startChannel(t)
  const { id } = await register(t, server.channel)
  const ask = (method: string, path: string, body = '') => new Promise<[number | undefined, string]>((resolve, reject) => {
    const asked = request({ port: server.port, host: '127.0.0.1', path, method, headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__', 'content-type': 'application/json', 'content-length': body.length } })
    asked.on('error', reject)
    asked.on('response', response => {
      let text = ''
      response.on('data', chunk => { text += String(chunk) })
      response.on('end', () => resolve([response.statusCode, text]))
    })
    asked.end(body)
  })
  t.same(await ask('GET', '/status'), [200, 'ok'])
  t.same(await ask('POST', `/api/information/${id}`, JSON.stringify({ cpu_cores: 7 }) + ' '.repeat(200_000)), [
    200,
    'ok'
  ])
  t.equal((await server.cluster(id)).total_cpu_cores, 7)
  t.equal((await ask('GET', '/register'))[0], 426)
})

t.test(
  'requests that offer HTTP/2 and do not wait for the answer to the last one are all answered, in order',
  async t => {
    const { port } = await startChannel(t)
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    const ask = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
    const peer = await openRaw(
      t,
      port,
      [
        ask('/api/jobs', offer),
        ask('/status', offer),
        ask('/status'),
        ask('/register', offer),
        ask('/none', offer),
        ask('/status')
      ].join('')
    )
    await until(() => peer.received().match(/HTTP\/1.1 /g)?.length === 6, '6 answers')
    t.same(peer.received().match(/(?<=HTTP\/1.1 )\d+/g), ['200', '200', '200', '426', '404', '200'])
  }
)
