import t from 'tap'
import type { Command } from '../../../schemas/channel.js'
import { aWhile, startChannel, until } from './channel-server.js'
import { register } from './peer.js'

const seqs = (commands: Command[]) => commands.map(({ seq }) => seq)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

t.test('a command carries exactly the fields of the contract', async t => {
  const { app, url, command } = await startChannel(t)
  const peer = await register(t, url)
  const job = await command(peer.id, ['deploy', 'delete'])
  const deploy = await peer.next('command')
  t.same(Object.keys(deploy).sort(), ['command_id', 'job', 'job_id', 'kind', 'seq'])
  t.match(deploy, { seq: 1, kind: 'deploy', job_id: job.id, job: { _id: job.id, job_name: job.job_name, instance_list: [{ cluster_id: peer.id }] } })
  const gone = await peer.next('command')
  t.same(Object.keys(gone).sort(), ['command_id', 'job_id', 'kind', 'seq'])
  t.match(gone, { seq: 2, kind: 'delete', job_id: job.id })
  t.equal((await app.store.outbox.position(peer.id)).acked, 0)
})

t.test('an ack settles everything up to it: first the jobs, then the outbox', async t => {
  const { app, url, command, asked } = await startChannel(t)
  const peer = await register(t, url)
  await command(peer.id, ['deploy', 'replicate', 'delete'])
  await until(() => peer.all('command').length === 3)
  const [first, second, third] = peer.all('command') as Command[]
  peer.send('ack', { seq: 2 })
  await until(async () => (await app.store.outbox.position(peer.id)).acked === 2)
  t.same(asked.map(({ what, args: [id, commands] }) => [what, id, (commands as Command[]).map(({ command_id }) => command_id)]), [['acknowledged', peer.id, [first!.command_id, second!.command_id]]])
  t.same(await app.store.outbox.pending(peer.id, { after: 0, limit: 10 }), [third])
  peer.send('ack', { seq: 1 })
  peer.send('ack', { seq: 2 })
  peer.send('ack', { seq: 9 })
  t.match(await peer.next('command'), { seq: 1 })
  await until(() => peer.all('error').length > 0)
  t.match(peer.all('error'), [{ code: 'seq_unknown', event: 'ack' }])
  t.equal((await app.store.outbox.position(peer.id)).acked, 2)
  t.equal(asked.length, 1, 'an old ack is harmless')
})

t.test('an ack that cannot be stored does not count: the command comes again and is settled then', async t => {
  let fails = 1
  const { app, url, command, asked } = await startChannel(t, {
    COMMAND_RESEND_S: 0.2,
    lifecycle: { acknowledged: async () => { if (fails-- > 0) throw new Error('no') } }
  })
  const peer = await register(t, url)
  await command(peer.id, ['delete'])
  t.equal((await peer.next('command')).seq, 1)
  peer.send('ack', { seq: 1 })
  t.match(await peer.next('error'), { code: 'internal_error', event: 'ack' })
  t.equal((await app.store.outbox.position(peer.id)).acked, 0)
  t.equal((await peer.next('command')).seq, 1)
  peer.send('ack', { seq: 1 })
  await until(async () => (await app.store.outbox.position(peer.id)).acked === 1)
  t.equal(asked.length, 2)
})

t.test('a nack settles that command alone, with its reason; an unknown one is told', async t => {
  const { app, url, command, asked } = await startChannel(t)
  const peer = await register(t, url)
  await command(peer.id, ['deploy', 'delete', 'delete'])
  await until(() => peer.all('command').length === 3)
  peer.send('nack', { seq: 2, error: 'no such image' })
  await until(async () => (await app.store.outbox.pending(peer.id, { after: 0, limit: 9 })).length === 2)
  t.match(asked, [{ what: 'refused', args: [peer.id, { seq: 2, kind: 'delete' }, 'no such image'] }])
  for (const seq of [2, 0, 77]) {
    peer.send('nack', { seq, error: 'x' })
    await until(() => peer.all('error').length > 0)
    t.match(peer.all('error').at(-1), { code: 'seq_unknown', event: 'nack' })
    peer.frames.splice(3)
  }
  t.equal(asked.length, 1)
  t.same(seqs(await app.store.outbox.pending(peer.id, { after: 0, limit: 9 })), [1, 3])
})

t.test('at most 64 commands are in flight; each ack makes room for as many', async t => {
  const { url, command } = await startChannel(t)
  const peer = await register(t, url)
  await command(peer.id, Array.from({ length: 150 }, () => 'delete'))
  await until(() => peer.all('command').length === 64)
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(64))
  peer.send('ack', { seq: 10 })
  await until(() => peer.all('command').length === 74)
  await aWhile(50)
  t.same(seqs(peer.all('command')), upTo(74))
  peer.send('ack', { seq: 150 })
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(74), 'what is acknowledged ahead of time is not sent any more')
})

t.test('what is not settled in time is sent again, all of it in order, and stops once settled', async t => {
  const { url, command } = await startChannel(t, { COMMAND_RESEND_S: 0.25 })
  const peer = await register(t, url)
  await command(peer.id, ['delete', 'delete', 'delete', 'delete'])
  await until(() => peer.all('command').length === 4)
  peer.send('ack', { seq: 1 })
  peer.send('nack', { seq: 3, error: 'no' })
  await until(() => peer.all('command').length >= 6)
  t.same(seqs(peer.all('command')).slice(0, 6), [1, 2, 3, 4, 2, 4])
  peer.send('ack', { seq: 4 })
  await aWhile(50)
  const before = peer.all('command').length
  await aWhile(600)
  t.equal(peer.all('command').length, before)
})

t.test('commands that come while others are being sent are neither lost, doubled nor out of order', async t => {
  const { url, command } = await startChannel(t)
  const peer = await register(t, url)
  const acks = setInterval(() => {
    const last = peer.all('command').at(-1)
    if (last) peer.send('ack', { seq: last.seq })
  }, 3)
  t.teardown(() => clearInterval(acks))
  await Promise.all(Array.from({ length: 60 }, () => command(peer.id, ['deploy', 'delete', 'replicate', 'delete', 'delete'])))
  await until(() => peer.all('command').length >= 300, '300 commands')
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(300))
})

t.test('200 commands reach a cluster that loses its connection again and again, in order and each at least once', async t => {
  const { app, url, command } = await startChannel(t)
  // A fixed course of chance: the same at every run.
  let seed = 42
  const chance = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  let taken = 0
  let reconnects = 0
  const got: number[] = []
  let peer = await register(t, url)
  const { id } = peer
  await command(id, Array.from({ length: 200 }, () => 'delete'))
  while (taken < 200) {
    await until(() => peer.all('command').length > 0, 'a command')
    const commands = peer.all('command') as Command[]
    const upto = commands[chance(Math.min(commands.length, 12))]!.seq
    for (const { seq } of commands) {
      if (seq > upto) break
      if (seq > taken) {
        t.equal(seq, taken + 1, 'no gap')
        taken = seq
        got.push(seq)
      }
    }
    if (chance(2) === 0) peer.send('ack', { seq: taken })
    if (chance(2) === 0) peer.close()
    reconnects++
    peer = await register(t, url, { last_seq: taken })
    t.match(peer.sc2, { id, resumed: true, next_seq: taken + 1 })
  }
  t.same(got, upTo(200))
  t.ok(reconnects > 10, `${reconnects} reconnects`)
  t.same(await app.store.outbox.position(id), { acked: 200, last: 200 })
})

t.test('a failing store delays commands and loses none', async t => {
  const { app, url, command } = await startChannel(t)
  const { pending } = app.store.outbox
  const peer = await register(t, url)
  let failures = 2
  app.store.outbox.pending = async (...args) => {
    if (failures-- > 0) throw new Error('busy')
    return await pending(...args)
  }
  await command(peer.id, ['delete', 'delete'])
  await until(() => peer.all('command').length === 2)
  t.same(seqs(peer.all('command')), [1, 2])
})

t.test('one listener serves all sessions', async t => {
  const { app, url } = await startChannel(t)
  for (let i = 0; i < 15; i++) await register(t, url, { cluster_name: `c${i}` })
  t.equal(app.jobLifecycle.events.listenerCount('commands'), 1)
  t.equal(app.clusterRegistry.events.listenerCount('removed'), 1)
})
