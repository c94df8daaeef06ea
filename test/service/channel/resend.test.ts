import t from 'tap'
import type { Command } from '../../../schemas/channel.js'
import { aWhile, startChannel, until } from './channel-server.js'
import { register, registerRaw, registerWith } from './peer.js'

const seqs = (commands: Command[]) => commands.map(({ seq }) => seq)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

t.test('what is not settled in time is sent again, all of it in order, and stops once settled', async t => {
  const server = await startChannel(t, { COMMAND_RESEND_S: 0.5, SWEEP_S: 60 })
  const peer = await registerWith(t, server, ['delete', 'delete', 'delete', 'delete'])
  await until(() => peer.all('command').length === 4)
  const began = performance.now()
  peer.send('ack', { seq: 1 })
  peer.send('nack', { seq: 3, error: 'no' })
  await until(() => peer.all('command').length >= 6)
  t.same(seqs(peer.all('command')).slice(0, 6), [1, 2, 3, 4, 2, 4])
  t.ok(performance.now() - began > 400, 'not before its time')
  peer.send('ack', { seq: 4 })
  await until(async () => (await server.pending(peer.id)).length === 0)
  const before = peer.all('command').length
  await aWhile(1200)
  t.equal(peer.all('command').length, before)
})

t.test('the time of the oldest command counts: what settles earlier ones puts the rest off by no more than that', async t => {
  const server = await startChannel(t, { COMMAND_RESEND_S: 1 })
  const peer = await register(t, server.channel)
  await server.command(peer.id, ['delete'])
  await peer.next('command')
  await aWhile(600)
  await server.command(peer.id, ['delete'])
  await until(() => peer.all('command').length === 2)
  const sentAt = performance.now()
  peer.send('ack', { seq: 1 })
  await until(() => peer.all('command').length === 3)
  t.ok(performance.now() - sentAt > 800, 'its own second, not that of the first')
  t.same(seqs(peer.all('command')), [1, 2, 2])
})

/** A document of 200 kB: 64 of them are more than the network holds for a peer that does not read. */
const BIG = { descriptor: { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: 'big', service_ns: 'test', image: 'nginx', image_runtime: 'docker', environment: { BIG: 'x'.repeat(200_000) } } }

t.test('what a slow reader has not got yet is not sent again behind it', async t => {
  const server = await startChannel(t, { COMMAND_RESEND_S: 0.5 })
  const slow = await registerRaw(t, server.port)
  slow.socket.pause()
  await server.command(slow.id, Array.from({ length: 64 }, () => 'deploy'), BIG)
  await until(() => server.waiting() > 0, 'it to be stalled')
  await aWhile(1600)
  slow.socket.resume()
  const received = () => [...slow.received().matchAll(/"event":"command","data":\{[^{}]*"seq":(\d+)/g)].map(([, seq]) => Number(seq))
  await until(() => received().length >= 64, 'all of it')
  t.same(received().slice(0, 64), upTo(64))
  slow.event('ack', { seq: 64 })
  await until(async () => (await server.pending(slow.id)).length === 0)
})
