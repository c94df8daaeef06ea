import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startPings } from '../../../services/cluster-channel/pings.js'
import { eventually } from '../../support/waiting.js'
import { aWhile } from './channel-server.js'

const INTERVAL_MS = 100

/** A real socket that is pinged from its server's end. */
async function open (t: Test, { autoPong = true } = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { autoPong })
  t.teardown(() => client.terminate())
  const [socket] = await once(server, 'connection') as [WebSocket]
  if (client.readyState !== client.OPEN) await once(client, 'open')
  const counts = { pings: 0, pongs: 0, silences: 0 }
  client.on('ping', () => { counts.pings++ })
  const stop = startPings(socket, INTERVAL_MS, { onPong () { counts.pongs++ }, onSilence () { counts.silences++ } })
  t.teardown(stop)
  return { client, socket, counts, stop }
}

t.test('each pong that answers a ping is a sign of life, one without a ping is none', async t => {
  const { client, counts } = await open(t)
  client.pong()
  await eventually(async () => counts.pongs, count => count >= 3)
  t.ok(counts.pongs <= counts.pings)
  t.equal(counts.silences, 0)
})

t.test('two pings without a pong end the connection', async t => {
  const { client, counts } = await open(t, { autoPong: false })
  const [code] = await once(client, 'close')
  t.equal(code, 1006)
  t.same(counts, { pings: 2, pongs: 0, silences: 1 })
})

t.test('while the peer is not read from, its pongs cannot be seen: it is neither pinged nor cut', async t => {
  const { client, socket, counts } = await open(t, { autoPong: false })
  socket.pause()
  const { pings } = counts
  await aWhile(5 * INTERVAL_MS)
  t.same(counts, { pings, pongs: 0, silences: 0 })
  t.equal(client.readyState, client.OPEN)
  socket.resume()
  await once(client, 'close')
  t.equal(counts.silences, 1, 'it counts again')
})

t.test('once stopped nothing is pinged', async t => {
  const { client, counts, stop } = await open(t)
  await eventually(async () => counts.pongs, count => count > 0)
  stop()
  await aWhile(50)
  const { pings } = counts
  await aWhile(3 * INTERVAL_MS)
  t.equal(counts.pings, pings)
  t.equal(client.readyState, client.OPEN)
})
