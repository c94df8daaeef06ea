import t from 'tap'
import { aWhile, startChannel, until } from '../channel/channel-server.js'
import { register } from '../channel/peer.js'
import { aCommand, aJob, on, saved } from '../stores/samples.js'
import { startClusterManager, status } from './cluster-manager.js'
import { deployed, settled, startAgentPair, startPair } from './pair.js'

t.test('deploy, delete, replicate and move are the calls of the contract, to the byte', async t => {
  const { server, manager, id } = await startAgentPair(t)
  await server.heartbeat(id)
  const first = await server.deploy('a')
  const deploy = await manager.take()
  t.match(deploy, { method: 'POST', path: '/api/deploy', contentType: 'application/json' })
  t.match(JSON.parse(deploy.body), { _id: first, job_name: 'demo.default.a.test', image: /nginx/, instance_list: [{ instance_number: 0, cluster_id: id }] })
  t.equal(deploy.body.startsWith(`{"_id":"${first}",`), true)
  await settled(server, id)

  const second = on(aJob(), id)
  await saved(server.store, second, { commands: [aCommand(second, id, 'replicate', { replicas: 3 }), aCommand(second, id, 'move', { node_from: 'n1', node_to: 'n2' })] })
  t.match(await manager.take(), { method: 'POST', path: '/api/replicate/', contentType: 'application/json', body: `{"job":"${second.id}","replicas":3}` })
  t.match(await manager.take(), { method: 'POST', path: '/api/move/', contentType: 'application/json', body: `{"job":"${second.id}","node_from":"n1","node_to":"n2"}` })
  await settled(server, id)
  await server.undeploy(first)
  t.match(await manager.take(), { method: 'GET', path: `/api/delete/${first}`, contentType: undefined, body: '' })
  await until(async () => (await server.job(first)).status === 'UNDEPLOYED')
  await settled(server, id)
  t.equal(manager.calls.length, 4)
  t.same(await server.store.outbox.position(id), { acked: 4, last: 4 }, 'a channel would go on from there')
})

t.test('commands come in order, one at a time, and none is sent twice', async t => {
  const { server, manager, id } = await startPair(t, { SWEEP_S: 60 })
  await server.heartbeat(id)
  let open = 0
  let most = 0
  manager.answer = (_call, reply) => {
    most = Math.max(most, ++open)
    setTimeout(() => { open--; reply.end('ok') }, 2)
  }
  const jobs = await Promise.all(Array.from({ length: 60 }, (_, i) => server.deploy(`s${i}`)))
  await until(() => manager.calls.length === jobs.length, '60 calls')
  await settled(server, id)
  t.equal(new Set(manager.calls.map(deployed)).size, jobs.length)
  t.equal(manager.calls.length, jobs.length)
  t.equal(most, 1)
})

t.test('a job whose delete waits behind it is never deployed, and both are settled', async t => {
  const { server, manager, id } = await startPair(t)
  await manager.hangUp()
  await server.heartbeat(id)
  const doomed = await server.deploy('doomed')
  await until(async () => (await server.pending(id)).length === 1)
  await server.undeploy(doomed)
  const kept = await server.deploy('kept')
  await until(async () => (await server.pending(id)).length === 3)
  await manager.listen()
  const calls = [await manager.take(), await manager.take()]
  t.same(calls.map(({ path }) => path), [`/api/delete/${doomed}`, '/api/deploy'])
  t.equal(deployed(calls[1]!), kept)
  await settled(server, id)
  t.equal((await server.job(doomed)).status, 'UNDEPLOYED')
  t.equal(manager.calls.length, 2)
})

t.test('of deploys of one job that waited, the newest alone is sent; a replicate between two is not lost', async t => {
  const { server, manager, id } = await startAgentPair(t)
  await manager.hangUp()
  await server.command(id, ['deploy', 'deploy', 'deploy'])
  await server.command(id, ['deploy', 'replicate', 'deploy'])
  await server.command(id, ['replicate', 'replicate'])
  // Each says to which worker something goes: none is like another.
  await server.command(id, ['move', 'move'])
  await manager.listen()
  await settled(server, id)
  t.same(manager.calls.map(({ path }) => path), ['/api/deploy', '/api/deploy', '/api/replicate/', '/api/deploy', '/api/replicate/', '/api/move/', '/api/move/'])
  t.same(await server.store.outbox.position(id), { acked: 10, last: 10 })
})

t.test('what a refused command made needless is settled with it', async t => {
  const { server, manager, id } = await startPair(t)
  await manager.hangUp()
  manager.answer = status(400, 'no')
  const job = await server.command(id, ['deploy', 'deploy'])
  await manager.listen()
  await settled(server, id)
  t.equal(manager.calls.length, 1)
  t.same((await server.events(job.id)).filter(({ type }) => type === 'refused').map(({ message }) => message), ['deploy was refused: HTTP 400: no', 'deploy was refused: HTTP 400: no'])
})

t.test('4xx is a refusal with the text as its reason; for lack of a worker the job is placed anew', async t => {
  const { server, manager, id } = await startPair(t)
  await server.heartbeat(id)
  manager.answer = status(400, 'no such  image\n')
  const failed = await server.deploy('failed')
  await until(async () => (await server.job(failed)).status === 'FAILED')
  t.equal((await server.job(failed)).status_reason, 'the cluster refused: HTTP 400: no such image')
  manager.answer = status(409, '{"error":"NO_WORKER_CAPACITY"}')
  const unplaced = await server.deploy('unplaced')
  await until(async () => (await server.events(unplaced)).some(({ message }) => /NO_WORKER_CAPACITY/.test(message)))
  t.match((await server.job(unplaced)).instance_list, [{ cluster_id: '', refusals: [{ cluster_id: id }] }])
  await settled(server, id)
})

t.test('a deploy that is answered with 500 counts as delivered: the job shows it, and heartbeats decide', async t => {
  const { server, manager, id } = await startPair(t)
  await server.heartbeat(id)
  manager.answer = status(500, '<!doctype html><title>500</title>', { 'content-type': 'text/html; charset=utf-8' })
  const job = await server.deploy('a')
  await until(async () => /heartbeats decide/.test((await server.job(job)).status_reason ?? ''))
  await settled(server, id)
  t.match(await server.job(job), { status: 'CLUSTER_SCHEDULED', status_reason: `hpi at 127.0.0.1:${manager.port} answered HTTP 500; its heartbeats decide` })
  t.match((await server.events(job)).at(-1), { type: 'delivery', cluster_id: id, message: /heartbeats decide/ })
  await server.heartbeat(id, { jobs: [{ system_job_id: job, status: 'RUNNING' }] })
  t.match(await server.job(job), { status: 'RUNNING', status_reason: null })
  t.equal(manager.calls.length, 1)
})

for (const code of [404, 410]) {
  t.test(`a delete of what the cluster does not have is done: ${code}`, async t => {
    const { server, manager, id } = await startPair(t)
    await server.heartbeat(id)
    const job = await server.deploy('a')
    await manager.take()
    await settled(server, id)
    manager.answer = status(code, 'not found')
    await server.undeploy(job)
    await until(async () => (await server.job(job)).status === 'UNDEPLOYED')
    t.equal(manager.calls.length, 2)
  })
}

t.test('a deploy that is answered with 404 or 410 is refused', async t => {
  const { server, manager, id } = await startPair(t)
  for (const code of [404, 410]) {
    manager.answer = status(code, 'what?')
    const job = await server.command(id, ['deploy'])
    await until(async () => (await server.job(job.id)).status === 'FAILED')
    t.equal((await server.job(job.id)).status_reason, `the cluster refused: HTTP ${code}: what?`)
  }
})

for (const code of [408, 425, 429, 502, 503, 504]) {
  t.test(`${code} is no answer to a command: it is tried again`, async t => {
    const { server, manager, id } = await startPair(t)
    manager.answer = (...args) => {
      manager.answer = status(200)
      status(code)(...args)
    }
    await server.command(id, ['deploy'])
    await settled(server, id)
    t.equal(manager.calls.length, 2)
  })
}

t.test('nothing is pushed to a cluster with an open channel, nor to one behind NAT whose channel closed', async t => {
  const server = await startChannel(t)
  const manager = await startClusterManager(t)
  const peer = await register(t, server.channel, { manager_port: manager.port, advertise_address: '127.0.0.1' })
  await server.command(peer.id, ['deploy'])
  t.match(await peer.next('command'), { seq: 1 })
  t.equal((await server.cluster(peer.id)).delivery, 'http')
  peer.send('ack', { seq: 1 })
  await settled(server, peer.id)

  const hidden = await register(t, server.channel, { cluster_name: 'tum', manager_port: manager.port })
  hidden.close()
  await until(async () => !(await server.cluster(hidden.id)).connected)
  await server.command(hidden.id, ['deploy'])
  await aWhile(300)
  t.same(manager.calls, [])
  t.same(await server.pending(hidden.id), [1])

  peer.close()
  await until(async () => !(await server.cluster(peer.id)).connected)
  await server.command(peer.id, ['deploy'])
  t.match(await manager.take(), { path: '/api/deploy' }, 'the one that advertises an address is called there')
})

t.test('several instances of one job wait for the channel of a new agent, and hold up nothing else', async t => {
  const { server, manager, id } = await startAgentPair(t)
  const two = on(aJob({ instances: 2 }), id)
  await saved(server.store, two, {
    commands: [aCommand(two, id, 'deploy'), aCommand(two, id, 'move', { node_from: 'a', node_to: 'b' })]
  })
  const other = await server.command(id, ['deploy'])
  t.equal(deployed(await manager.take()), other.id)
  await until(async () => /over its channel only/.test((await server.job(two.id)).status_reason ?? ''))
  await aWhile(300)
  t.equal(manager.calls.length, 1)
  const peer = await register(t, server.channel, {
    manager_port: manager.port,
    advertise_address: '127.0.0.1',
    last_seq: 0
  })
  t.match((await peer.next('command')).job.instance_list, [{ instance_number: 0 }, { instance_number: 1 }])
  t.match(await peer.next('command'), { kind: 'move' })
})

t.test(
  'a delete behind many commands that wait for the channel is pushed, and makes those about its job needless',
  async t => {
    const { server, manager, id } = await startAgentPair(t)
    const jobs = await Promise.all(
      Array.from({ length: 18 }, async () => {
        const job = on(aJob({ instances: 2 }), id)
        return await saved(server.store, job, { commands: [aCommand(job, id, 'deploy')] })
      })
    )
    const first = jobs[0]!
    await saved(server.store, (await server.store.jobs.get(first.id))!, { commands: [aCommand(first, id, 'delete')] })
    t.match(await manager.take(), { path: `/api/delete/${first.id}` })
    await until(async () =>
      (await server.store.outbox.pending(id, { after: 0, limit: 99 })).every(({ job_id: jobId }) => jobId !== first.id)
    )
    t.equal((await server.pending(id)).length, 17)
  }
)

t.test('a cluster that opens its channel while a call hangs gets the command there', async t => {
  const { server, manager, id } = await startPair(t)
  let cut = false
  manager.answer = (_call, _reply, request) => request.socket.once('close', () => { cut = true })
  await server.command(id, ['deploy', 'replicate'])
  await manager.take()
  const began = performance.now()
  const peer = await register(t, server.channel, { cluster_name: 'hpi' })
  t.ok(performance.now() - began > 900, 'the call had a second to be answered')
  t.match([(await peer.next('command')).seq, (await peer.next('command')).seq], [1, 2])
  await until(() => cut, 'the end of the call')
  await aWhile(300)
  t.equal(manager.calls.length, 1)
})

t.test('a call that is answered while the channel of its cluster opens counts', async t => {
  const { server, manager, id } = await startAgentPair(t)
  let answer = () => {}
  manager.answer = (_call, reply) => { answer = () => reply.end('ok') }
  await server.command(id, ['deploy', 'replicate'])
  await manager.take()
  setTimeout(() => answer(), 200)
  const peer = await register(t, server.channel, { cluster_name: 'hpi', last_seq: 0 })
  t.match(await peer.next('resync'), { next_seq: 2 })
  t.match(await peer.next('command'), { seq: 2, kind: 'replicate' })
  t.equal(manager.calls.length, 1)
})
