import t from 'tap'
import type { Command } from '../../../schemas/channel.js'
import { aWhile, startChannel, until } from './channel-server.js'
import { register, registerRoomy, registerWith } from './peer.js'

const seqs = (commands: Command[]) => commands.map(({ seq }) => seq)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

t.test('each command carries exactly the fields of the contract', async t => {
  const server = await startChannel(t, { SWEEP_S: 60 })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  const deploy = await peer.next('command')
  t.same(Object.keys(deploy).sort(), ['command_id', 'job', 'job_id', 'kind', 'seq'])
  t.match(deploy, { seq: 1, kind: 'deploy', job_id: id, job: { _id: id, job_name: 'demo.default.a.test', instance_list: [{ cluster_id: peer.id }] } })

  const post = (path: string, body: object) => server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  await post('/api/replicate', { job_id: id, replicas: 2 })
  const replicate = await peer.next('command')
  t.same(Object.keys(replicate).sort(), ['command_id', 'job', 'job_id', 'kind', 'replicas', 'seq'])
  t.match(replicate, { seq: 2, kind: 'replicate', job_id: id, replicas: 2, job: { instance_list: [{ instance_number: 0 }, { instance_number: 1 }] } })
  await post('/api/nodes/move', { job_id: id, cluster: 'hpi', from_node: 'n1', to_node: 'n2' })
  const move = await peer.next('command')
  t.same(Object.keys(move).sort(), ['command_id', 'job_id', 'kind', 'node_from', 'node_to', 'seq'])
  t.match(move, { seq: 3, kind: 'move', job_id: id, node_from: 'n1', node_to: 'n2' })
  await server.undeploy(id)
  const gone = await peer.next('command')
  t.same(Object.keys(gone).sort(), ['command_id', 'job_id', 'kind', 'seq'])
  t.match(gone, { seq: 4, kind: 'delete', job_id: id })
  t.equal(new Set(peer.all('command').map(({ command_id: each }) => each)).size, 4)
  t.equal((await server.store.outbox.position(peer.id)).acked, 0)
})

t.test('an ack settles everything up to it, for the jobs and in the outbox, and nothing behind it', async t => {
  const server = await startChannel(t)
  const peer = await registerRoomy(t, server)
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) ids.push(await server.deploy(name))
  await until(() => peer.all('command').length === 3)
  for (const id of ids) await server.undeploy(id)
  await until(() => peer.all('command').length === 6)
  peer.send('ack', { seq: 5 })
  await until(async () => (await server.store.outbox.position(peer.id)).acked === 5)
  const statuses = async () => await Promise.all(ids.map(async id => (await server.job(id)).status))
  t.same(await statuses(), ['UNDEPLOYED', 'UNDEPLOYED', 'UNDEPLOYING'])
  t.same(await server.pending(peer.id), [6])

  const before = await Promise.all(ids.map(server.job))
  for (const seq of [1, 5, 9]) peer.send('ack', { seq })
  await until(() => peer.all('error').length > 0)
  t.match(peer.all('error'), [{ code: 'seq_unknown', message: /9 was never given out/, event: 'ack' }])
  t.same(await server.store.outbox.position(peer.id), { acked: 5, last: 6 })
  t.same(await Promise.all(ids.map(server.job)), before, 'an old ack is harmless')
  peer.send('ack', { seq: 6 })
  await until(async () => (await statuses())[2] === 'UNDEPLOYED')
})

t.test('a nack settles that command alone, with its reason on the job; an unknown one is an error', async t => {
  const server = await startChannel(t)
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await until(() => peer.all('command').length === 1)
  await server.command(peer.id, ['delete', 'delete'])
  await until(() => peer.all('command').length === 3)
  peer.send('nack', { seq: 1, error: 'no such image' })
  await until(async () => (await server.job(id)).status === 'FAILED')
  t.equal((await server.job(id)).status_reason, 'the cluster refused: no such image')
  t.same(await server.pending(peer.id), [2, 3])
  const before = await server.job(id)
  for (const [index, seq] of [1, 0, 77].entries()) {
    peer.send('nack', { seq, error: 'x' })
    await until(() => peer.all('error').length > index)
    t.match(peer.all('error').at(-1), { code: 'seq_unknown', message: new RegExp(`no command ${seq} waits`), event: 'nack' })
  }
  t.same(await server.job(id), before)
  t.same(await server.pending(peer.id), [2, 3])
})

t.test('at most 64 commands are in flight; each ack and each nack makes room for as many', async t => {
  const server = await startChannel(t, { SWEEP_S: 60 })
  const peer = await registerWith(t, server, Array.from({ length: 150 }, () => 'delete'))
  await until(() => peer.all('command').length === 64)
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(64))
  peer.send('ack', { seq: 10 })
  await until(() => peer.all('command').length === 74)
  peer.send('nack', { seq: 20, error: 'no' })
  await until(() => peer.all('command').length === 75)
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(75))
  peer.send('ack', { seq: 150 })
  await until(async () => (await server.pending(peer.id)).length === 0)
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(75), 'what is acknowledged ahead of time is not sent any more')
})

t.test('commands that come while others are being sent are neither lost, doubled nor out of order', async t => {
  const server = await startChannel(t, { SWEEP_S: 60 })
  const peer = await registerRoomy(t, server)
  const acks = setInterval(() => {
    const last = peer.all('command').at(-1)
    if (last) peer.send('ack', { seq: last.seq })
  }, 3)
  t.teardown(() => clearInterval(acks))
  const ids = await Promise.all(Array.from({ length: 60 }, (_, i) => server.deploy(`s${i}`)))
  await until(() => peer.all('command').length >= 60, '60 deploys')
  await Promise.all(ids.map(server.undeploy))
  await until(() => peer.all('command').length >= 120, '60 deletes')
  await aWhile()
  t.same(seqs(peer.all('command')), upTo(120))
})

t.test('200 commands reach a cluster that loses its connection again and again, in order and each at least once', async t => {
  const server = await startChannel(t)
  // A fixed course of chance: the same at every run.
  let seed = 42
  const chance = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  let taken = 0
  let reconnects = 0
  const got: number[] = []
  let peer = await register(t, server.channel)
  const { id } = peer
  await server.command(id, Array.from({ length: 200 }, () => 'delete'))
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
    peer = await register(t, server.channel, { last_seq: taken })
    t.match(peer.sc2, { id, resumed: true, next_seq: taken + 1 })
  }
  t.same(got, upTo(200))
  t.ok(reconnects > 10, `${reconnects} reconnects`)
  t.same(await server.store.outbox.position(id), { acked: 200, last: 200 })
})

t.test('many sessions share the listeners of one', async t => {
  const server = await startChannel(t)
  const warnings: string[] = []
  const note = ({ name }: Error) => { warnings.push(name) }
  process.on('warning', note)
  t.teardown(() => { process.off('warning', note) })
  for (let i = 0; i < 15; i++) await register(t, server.channel, { cluster_name: `c${i}` })
  await aWhile(50)
  t.same(warnings, [])
})
