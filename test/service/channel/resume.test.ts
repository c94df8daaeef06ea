import t, { type Test } from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { register, registerRoomy } from './peer.js'

/** A cluster with five commands, of which it acknowledged two; its channel is closed. */
async function twoOfFive (t: Test) {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  const placed = await server.command(peer.id, ['deploy', 'replicate', 'deploy', 'deploy', 'delete'])
  await until(() => peer.all('command').length === 5)
  peer.send('ack', { seq: 2 })
  await until(async () => (await server.store.outbox.position(peer.id)).acked === 2)
  peer.close()
  await peer.closed
  return { ...server, id: peer.id, placed }
}

t.test('a new cluster begins at 1, with last_seq 0 or without, and gets no resync', async t => {
  const { channel } = await startChannel(t)
  const without = await register(t, channel, { cluster_name: 'a' })
  t.match(without.sc2, { resumed: false, next_seq: 1 })
  const zero = await register(t, channel, { cluster_name: 'b', last_seq: 0 })
  t.match(zero.sc2, { resumed: true, next_seq: 1 })
  await aWhile(50)
  t.same([...without.all('resync'), ...zero.all('resync')], [])
})

t.test('commands from before the first acknowledgement come without a resync', async t => {
  const { channel, command } = await startChannel(t)
  const first = await register(t, channel)
  first.close()
  await command(first.id, ['deploy'])
  const peer = await register(t, channel)
  t.match(peer.sc2, { resumed: false, next_seq: 1 })
  t.equal((await peer.next('command')).seq, 1)
})

t.test('last_seq counts as an ack and everything after it follows in order', async t => {
  const { store, channel, id } = await twoOfFive(t)
  const peer = await register(t, channel, { last_seq: 4 })
  t.match(peer.sc2, { id, resumed: true, next_seq: 5 })
  t.match(await peer.next('command'), { seq: 5, kind: 'delete' })
  t.same(await store.outbox.position(id), { acked: 4, last: 5 })
  t.same(peer.all('resync'), [])
})

t.test('a last_seq of all there is resumes with nothing to follow, up to the next command', async t => {
  const { channel, id, command } = await twoOfFive(t)
  const peer = await register(t, channel, { last_seq: 5 })
  t.match(peer.sc2, { resumed: true, next_seq: 6 })
  await command(id, ['delete'])
  t.equal((await peer.next('command')).seq, 6)
})

for (const [what, cs1] of [
  ['without last_seq', {}],
  ['with a last_seq older than what it acknowledged', { last_seq: 1 }],
  ['with a last_seq that was never given out', { last_seq: 6 }]
] as const) {
  t.test(`${what} a known cluster gets all that it should be running, then what is pending`, async t => {
    const { store, channel, id, placed } = await twoOfFive(t)
    const peer = await register(t, channel, cs1)
    t.match(peer.sc2, { resumed: false, next_seq: 3 })
    const resync = await peer.next('resync')
    t.equal(resync.next_seq, 3)
    t.match(resync.jobs, [{ _id: placed.id, job_name: placed.job_name, instance_list: [{ cluster_id: id }] }])
    t.equal(resync.jobs.length, 1)
    for (const seq of [3, 4, 5]) t.equal((await peer.next('command')).seq, seq)
    t.same(await store.outbox.position(id), { acked: 2, last: 5 }, 'nothing was acknowledged by it')
  })
}

t.test('a last_seq that a forgotten cluster brings along is not believed', async t => {
  const { channel } = await startChannel(t)
  const peer = await register(t, channel, { last_seq: 12 })
  t.match(peer.sc2, { resumed: false, next_seq: 1 })
  t.strictSame(await peer.next('resync'), { next_seq: 1, jobs: [] })
})

t.test('more commands than are read at a time are acknowledged by one last_seq', async t => {
  const { store, channel, command, pending } = await startChannel(t)
  const first = await register(t, channel)
  await command(first.id, Array.from({ length: 300 }, () => 'delete'))
  first.close()
  const peer = await register(t, channel, { last_seq: 299 })
  t.match(peer.sc2, { resumed: true, next_seq: 300 })
  t.same(await pending(first.id), [300])
  t.same(await store.outbox.position(first.id), { acked: 299, last: 300 })
})

t.test('a gap that a refusal left is no obstacle to resuming', async t => {
  const { channel, id, pending } = await twoOfFive(t)
  const first = await register(t, channel, { last_seq: 2 })
  first.send('nack', { seq: 3, error: 'no' })
  await until(async () => (await pending(id))[0] === 4)
  const peer = await register(t, channel, { last_seq: 3 })
  t.match(peer.sc2, { id, resumed: true, next_seq: 4 })
})

t.test('last_seq counts for the jobs too: one whose removal the cluster has taken is gone', async t => {
  const server = await startChannel(t)
  const first = await registerRoomy(t, server)
  const ids = [await server.deploy('a'), await server.deploy('b')]
  await until(() => first.all('command').length === 2)
  for (const id of ids) await server.undeploy(id)
  await until(() => first.all('command').length === 4)
  first.close()
  await first.closed
  const peer = await register(t, server.channel, { last_seq: 3 })
  t.match(await peer.next('command'), { seq: 4, kind: 'delete', job_id: ids[1] })
  t.same(await Promise.all(ids.map(async id => (await server.job(id)).status)), ['UNDEPLOYED', 'UNDEPLOYING'])
})

t.test('a resync holds what should run there and nothing else: no job of another cluster, none to be removed', async t => {
  const server = await startChannel(t)
  const hpi = await registerRoomy(t, server)
  const tum = await registerRoomy(t, server, { cluster_name: 'tum' })
  const here = await server.deploy('here', 'cluster_location: hpi\n')
  const going = await server.deploy('going', 'cluster_location: hpi\n')
  await until(() => hpi.all('command').length === 2)
  await server.deploy('there', 'cluster_location: tum\n')
  await until(() => tum.all('command').length === 1)
  hpi.send('ack', { seq: 2 })
  await server.undeploy(going)
  await until(() => hpi.all('command').length === 3)
  hpi.close()
  await hpi.closed
  const again = await register(t, server.channel)
  t.match(again.sc2, { resumed: false, next_seq: 3 })
  const { jobs } = await again.next('resync')
  t.same(jobs.map(({ _id }: { _id: string }) => _id), [here])
  t.match(await again.next('command'), { seq: 3, kind: 'delete', job_id: going })
})
