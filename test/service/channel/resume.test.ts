import t, { type Test } from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { register } from './peer.js'

/** A cluster with five commands, of which it acknowledged two; its channel is closed. */
async function twoOfFive (t: Test) {
  const server = await startChannel(t)
  const peer = await register(t, server.url)
  const job = await server.command(peer.id, ['deploy', 'replicate', 'deploy', 'deploy', 'delete'])
  await until(() => peer.all('command').length === 5)
  peer.send('ack', { seq: 2 })
  await until(async () => (await server.app.store.outbox.position(peer.id)).acked === 2)
  peer.close()
  await peer.closed
  return { ...server, id: peer.id, job }
}

t.test('a new cluster begins at 1, with last_seq 0 or without, and gets no resync', async t => {
  const { url } = await startChannel(t)
  const without = await register(t, url, { cluster_name: 'a' })
  t.match(without.sc2, { resumed: false, next_seq: 1 })
  const zero = await register(t, url, { cluster_name: 'b', last_seq: 0 })
  t.match(zero.sc2, { resumed: true, next_seq: 1 })
  await aWhile(50)
  t.same([...without.all('resync'), ...zero.all('resync')], [])
})

t.test('commands from before the first registration that is answered come without a resync', async t => {
  const { url, command } = await startChannel(t)
  const first = await register(t, url)
  first.close()
  await command(first.id, ['deploy'])
  const peer = await register(t, url)
  t.match(peer.sc2, { resumed: false, next_seq: 1 })
  t.equal((await peer.next('command')).seq, 1)
})

t.test('last_seq counts as an ack and everything after it follows in order', async t => {
  const { app, url, id, asked } = await twoOfFive(t)
  const peer = await register(t, url, { last_seq: 4 })
  t.match(peer.sc2, { id, resumed: true, next_seq: 5 })
  t.match(await peer.next('command'), { seq: 5, kind: 'delete' })
  t.match(asked.at(-1), { what: 'acknowledged', args: [id, [{ seq: 3 }, { seq: 4 }]] })
  t.same(await app.store.outbox.position(id), { acked: 4, last: 5 })
  t.same(peer.all('resync'), [])
})

t.test('a last_seq of all there is resumes with nothing to follow, up to the next command', async t => {
  const { url, id, command } = await twoOfFive(t)
  const peer = await register(t, url, { last_seq: 5 })
  t.match(peer.sc2, { resumed: true, next_seq: 6 })
  await command(id, ['delete'])
  t.equal((await peer.next('command')).seq, 6)
})

for (const [what, cs1] of [
  ['without last_seq', {}],
  ['with a last_seq older than what it acknowledged', { last_seq: 1 }],
  ['with a last_seq that was never given out', { last_seq: 6 }]
] as const) {
  t.test(`${what} a known cluster is told all that it should be running, then what is pending`, async t => {
    const { app, url, id, job } = await twoOfFive(t)
    const peer = await register(t, url, cs1)
    t.match(peer.sc2, { resumed: false, next_seq: 3 })
    const resync = await peer.next('resync')
    t.equal(resync.next_seq, 3)
    t.match(resync.jobs, [{ _id: job.id, job_name: job.job_name, instance_list: [{ cluster_id: id }] }])
    t.equal(resync.jobs.length, 1)
    for (const seq of [3, 4, 5]) t.equal((await peer.next('command')).seq, seq)
    t.same(await app.store.outbox.position(id), { acked: 2, last: 5 }, 'nothing was acknowledged by it')
  })
}

t.test('a last_seq that a forgotten cluster brings along is not believed', async t => {
  const { url } = await startChannel(t)
  const peer = await register(t, url, { last_seq: 12 })
  t.match(peer.sc2, { resumed: false, next_seq: 1 })
  t.strictSame(await peer.next('resync'), { next_seq: 1, jobs: [] })
})

t.test('more commands than are read at a time are acknowledged by one last_seq', async t => {
  const { app, url, command, asked } = await startChannel(t)
  const first = await register(t, url)
  await command(first.id, Array.from({ length: 300 }, () => 'delete'))
  first.close()
  const peer = await register(t, url, { last_seq: 299 })
  t.match(peer.sc2, { resumed: true, next_seq: 300 })
  t.same(asked.flatMap(({ args: [, commands] }) => (commands as Array<{ seq: number }>).map(({ seq }) => seq)), Array.from({ length: 299 }, (_, i) => i + 1))
  t.same(await app.store.outbox.position(first.id), { acked: 299, last: 300 })
})

t.test('a gap that a refusal left is no obstacle to resuming', async t => {
  const { url, id } = await twoOfFive(t)
  const first = await register(t, url, { last_seq: 2 })
  first.send('nack', { seq: 3, error: 'no' })
  await until(() => first.all('command').length === 3)
  await aWhile(50)
  const peer = await register(t, url, { last_seq: 3 })
  t.match(peer.sc2, { id, resumed: true, next_seq: 4 })
})
