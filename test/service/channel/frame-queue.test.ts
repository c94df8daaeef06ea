import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { openFrameQueue } from '../../../services/cluster-channel/frame-queue.js'
import { eventually } from '../../support/waiting.js'
import { aWhile } from './channel-server.js'

/** A real socket with a queue on its server's end. Frames are taken when the test lets them. */
async function open (t: Test) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => client.terminate())
  const [socket] = await once(server, 'connection') as [WebSocket]
  if (client.readyState !== client.OPEN) await once(client, 'open')
  const taken: Array<string | undefined> = []
  const batches: number[] = []
  const counts = { overflows: 0 }
  let isHeld = true
  let letGo: Array<() => void> = []
  const queue = openFrameQueue(socket, {
    async take (texts) {
      if (isHeld) await new Promise<void>(resolve => letGo.push(resolve))
      taken.push(...texts)
      batches.push(texts.length)
    },
    overflow () { counts.overflows++ }
  })
  return {
    client,
    socket,
    queue,
    taken,
    /** How many were taken at a time. */
    batches,
    counts,
    /** Lets the frames pass that are being taken. */
    next () {
      const [first, ...others] = letGo
      letGo = others
      first?.()
    },
    /** From now on nothing is held. */
    release () {
      isHeld = false
      for (const go of letGo) go()
    }
  }
}

t.test('frames are taken in order, those that came meanwhile together, a binary one as no text', async t => {
  const { client, taken, batches, next, queue } = await open(t)
  client.send('a')
  client.send(Buffer.from('b'))
  client.send('c')
  await aWhile()
  t.same(taken, [], 'the first is being taken')
  for (const expected of [['a'], ['a', undefined, 'c']]) {
    next()
    await eventually(async () => taken.length, length => length === expected.length)
    await aWhile(50)
    t.same(taken, expected)
  }
  t.same(batches, [1, 2])
  await queue.idle()
  client.send('d')
  await aWhile()
  next()
  await eventually(async () => taken.length, length => length === 4)
  t.same(taken[3], 'd', 'it begins anew after it was idle')
})

t.test('idle waits for all that has come', async t => {
  const { client, taken, release, queue } = await open(t)
  for (const text of ['a', 'b', 'c']) client.send(text)
  await aWhile()
  let isIdle = false
  const idle = queue.idle().then(() => { isIdle = true })
  await aWhile()
  t.equal(isIdle, false)
  release()
  await idle
  t.same(taken, ['a', 'b', 'c'])
  await queue.idle()
})

t.test('with more than 64 frames waiting the peer is not read from, until they are no more than that', async t => {
  const { client, socket, taken, batches, next, release } = await open(t)
  for (let n = 0; n < 65; n++) client.send(String(n))
  await aWhile()
  t.equal(socket.isPaused, false, 'one is being taken, 64 wait')
  client.send('65')
  await eventually(async () => socket.isPaused, paused => paused)
  client.send('66')
  next()
  await eventually(async () => taken.length, length => length === 1)
  await aWhile(50)
  t.equal(socket.isPaused, true, 'while 64 are being taken')
  next()
  await eventually(async () => socket.isPaused, paused => !paused)
  release()
  await eventually(async () => taken.length, length => length === 67)
  t.same(taken, Array.from({ length: 67 }, (_, n) => String(n)))
  t.same(batches.slice(0, 2), [1, 64], 'no more than 64 together')
  t.equal(socket.isPaused, false)
})

t.test('with more than 4 MiB waiting the peer is not read from', async t => {
  const { client, socket, taken, next, release } = await open(t)
  const half = 'x'.repeat(2 * 1024 * 1024)
  client.send(Buffer.from('binary'))
  await eventually(async () => { next(); return taken.length }, length => length === 1)
  taken.pop()
  client.send('first')
  for (let n = 0; n < 2; n++) client.send(half)
  await aWhile(300)
  t.equal(socket.isPaused, false, 'exactly 4 MiB wait')
  client.send('y')
  await eventually(async () => socket.isPaused, paused => paused)
  client.send('z')
  next()
  await eventually(async () => taken.length, length => length === 1)
  await aWhile(50)
  t.equal(socket.isPaused, true, 'while 4 MiB and one are being taken')
  next()
  await eventually(async () => socket.isPaused, paused => !paused)
  t.equal(taken.length, 4)
  release()
  await eventually(async () => taken.length, length => length === 5)
  await eventually(async () => socket.isPaused, paused => !paused)
})

t.test('after drop nothing that waits is taken, nor what comes', async t => {
  const { client, socket, queue, taken, release } = await open(t)
  for (let n = 0; n < 80; n++) client.send(String(n))
  await eventually(async () => socket.isPaused, paused => paused)
  queue.drop()
  t.equal(socket.isPaused, false, 'the answer to a closing frame can be read')
  client.send('late')
  release()
  await queue.idle()
  await aWhile()
  t.same(taken, ['0'], 'what was being taken is finished')
  client.close(1000)
  const [code] = await once(socket, 'close')
  t.equal(code, 1000)
})

t.test('what comes behind our closing frame is not taken', async t => {
  const { client, socket, taken, release } = await open(t)
  release()
  socket.close(1000)
  client.send('late')
  await once(socket, 'close')
  t.same(taken, [])
})

t.test('more than 1000 frames that wait are too many, each that comes then', async t => {
  const { client, taken, counts, release } = await open(t)
  // In one write of the network, so that a pause comes too late.
  const { _socket: wire } = client as unknown as { _socket: { cork (): void, uncork (): void } }
  wire.cork()
  for (let n = 0; n < 1003; n++) client.send('x')
  wire.uncork()
  await eventually(async () => counts.overflows, count => count > 0)
  release()
  await aWhile()
  t.equal(counts.overflows, 2)
  t.equal(taken.length, 1001)
})
