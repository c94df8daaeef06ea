import t, { type Test } from 'tap'
import { aJob, on } from '../stores/samples.js'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { register } from '../channel/peer.js'
import { registerOverSocketIo, startClusterManager, status, type ClusterManager } from './cluster-manager.js'

async function pair (t: Test, cluster_name = 'hpi'): Promise<{ server: ChannelServer, manager: ClusterManager, id: string }> {
  const server = await startChannel(t)
  const manager = await startClusterManager(t)
  return { server, manager, id: await registerOverSocketIo(server.port, { cluster_name, manager_port: manager.port }) }
}

const settled = ({ app }: ChannelServer, id: string) => until(async () => (await app.store.outbox.pending(id, { after: 0, limit: 1 })).length === 0, 'the outbox to be empty')
const job = ({ app }: ChannelServer, id: string) => app.jobLifecycle.jobs.find(id)

t.test('deploy, delete, replicate and move are the calls of the contract, to the byte', async t => {
  const { server, manager, id } = await pair(t)
  const first = await server.command(id, ['deploy'])
  const deploy = await manager.take()
  t.match(deploy, { method: 'POST', path: '/api/deploy', contentType: 'application/json' })
  const document = JSON.parse(deploy.body)
  t.match(document, { _id: first.id, job_name: first.job_name, image: first.descriptor.image, instance_list: [{ instance_number: 0, cluster_id: id }] })
  t.equal(deploy.body.startsWith(`{"_id":"${first.id}",`), true)

  const second = on(aJob(), id)
  const draft = { cluster_id: id, job_id: second.id }
  await server.app.store.jobs.commit([{
    job: second,
    events: [],
    commands: [
      { ...draft, command_id: 'a', kind: 'replicate', replicas: 3 },
      { ...draft, command_id: 'b', kind: 'move', node_from: 'n1', node_to: 'n2' }
    ]
  }])
  server.app.jobLifecycle.events.emit('commands', [id])
  t.match(await manager.take(), { method: 'POST', path: '/api/replicate/', contentType: 'application/json', body: `{"job":"${second.id}","replicas":3}` })
  t.match(await manager.take(), { method: 'POST', path: '/api/move/', contentType: 'application/json', body: `{"job":"${second.id}","node_from":"n1","node_to":"n2"}` })
  await settled(server, id)
  await server.app.jobLifecycle.jobs.undeploy(first.id, 'user')
  t.match(await manager.take(), { method: 'GET', path: `/api/delete/${first.id}`, contentType: undefined, body: '' })
  await until(async () => (await job(server, first.id)).status === 'UNDEPLOYED')
  t.equal(manager.calls.length, 4)
  await settled(server, id)
  t.same(await server.app.store.outbox.position(id), { acked: 4, last: 4 }, 'a channel would go on from there')
})

t.test('commands come in order, one at a time, and none is sent twice', async t => {
  const { server, manager, id } = await pair(t)
  let open = 0
  let most = 0
  manager.answer = (_call, reply) => {
    most = Math.max(most, ++open)
    setTimeout(() => { open--; reply.end('ok') }, 2)
  }
  const jobs = await Promise.all(Array.from({ length: 100 }, () => server.command(id, ['deploy'])))
  await settled(server, id)
  const sent = manager.calls.map(({ body }) => JSON.parse(body)._id as string)
  t.equal(new Set(sent).size, jobs.length)
  t.equal(sent.length, jobs.length)
  t.equal(most, 1)
})

t.test('a job whose delete waits behind it is never deployed, and both are settled', async t => {
  const { server, manager, id } = await pair(t)
  await manager.hangUp()
  const doomed = await server.command(id, ['deploy'])
  await server.app.jobLifecycle.jobs.undeploy(doomed.id, 'user')
  const kept = await server.command(id, ['deploy'])
  await manager.listen()
  const calls = [await manager.take(), await manager.take()]
  t.same(calls.map(({ path }) => path), [`/api/delete/${doomed.id}`, '/api/deploy'])
  t.equal(JSON.parse(calls[1]!.body)._id, kept.id)
  await settled(server, id)
  t.equal((await job(server, doomed.id)).status, 'UNDEPLOYED')
  await aWhile()
  t.equal(manager.calls.length, 2)
})

t.test('of deploys of one job that waited, the newest alone is sent; a replicate between two is not lost', async t => {
  const { server, manager, id } = await pair(t)
  await manager.hangUp()
  await server.command(id, ['deploy', 'deploy', 'deploy'])
  await server.command(id, ['deploy', 'replicate', 'deploy'])
  await manager.listen()
  await settled(server, id)
  t.same(manager.calls.map(({ path }) => path), ['/api/deploy', '/api/deploy', '/api/replicate/', '/api/deploy'])
})

t.test('4xx is a refusal with the text as its reason; for lack of a worker the job is placed anew', async t => {
  const { server, manager, id } = await pair(t)
  manager.answer = status(400, 'no such\n  image')
  const failed = await server.command(id, ['deploy'])
  await until(async () => (await job(server, failed.id)).status === 'FAILED')
  t.equal((await job(server, failed.id)).status_reason, 'the cluster refused: HTTP 400: no such image')
  manager.answer = status(409, '{"error":"NO_WORKER_CAPACITY"}')
  const unplaced = await server.command(id, ['deploy'])
  await until(async () => (await job(server, unplaced.id)).status === 'NO_WORKER_CAPACITY')
  t.match((await job(server, unplaced.id)).instance_list, [{ cluster_id: '', refusals: [{ cluster_id: id }] }])
  await settled(server, id)
})

t.test('a deploy that is answered with 500 counts as delivered: the job says so, and its heartbeats decide', async t => {
  const { server, manager, id } = await pair(t)
  manager.answer = status(500, '<!doctype html><title>500</title>', { 'content-type': 'text/html; charset=utf-8' })
  const { id: jobId } = await server.command(id, ['deploy'])
  await settled(server, id)
  await until(async () => /heartbeats decide/.test((await job(server, jobId)).status_reason ?? ''))
  t.match(await job(server, jobId), { status: 'CLUSTER_SCHEDULED', status_reason: `hpi at 127.0.0.1:${manager.port} answered HTTP 500; its heartbeats decide` })
  t.match(await server.app.jobLifecycle.jobs.history(jobId, { limit: 10 }), [{ type: 'delivery', cluster_id: id, message: /heartbeats decide/ }])
  await server.app.jobLifecycle.reports.heartbeat(id, { jobs: [{ system_job_id: jobId, status: 'RUNNING' }] })
  t.match(await job(server, jobId), { status: 'RUNNING', status_reason: null })
  t.equal(manager.calls.length, 1)
})

t.test('a delete of what the cluster does not have is done', async t => {
  const { server, manager, id } = await pair(t)
  const { id: jobId } = await server.command(id, ['deploy'])
  await settled(server, id)
  manager.answer = status(404, 'not found')
  await server.app.jobLifecycle.jobs.undeploy(jobId, 'user')
  await until(async () => (await job(server, jobId)).status === 'UNDEPLOYED')
})

t.test('nothing is pushed to a cluster with an open channel, nor to one behind NAT whose channel closed', async t => {
  const server = await startChannel(t)
  const manager = await startClusterManager(t)
  const peer = await register(t, server.url, { manager_port: manager.port, advertise_address: '127.0.0.1' })
  await server.command(peer.id, ['deploy'])
  t.match(await peer.next('command'), { seq: 1 })
  t.equal((await server.app.clusterRegistry.get(peer.id)).delivery, 'http')
  peer.send('ack', { seq: 1 })
  await settled(server, peer.id)

  const hidden = await register(t, server.url, { cluster_name: 'tum', manager_port: manager.port })
  hidden.close()
  await until(async () => (await server.app.clusterChannel.connected([hidden.id])).size === 0)
  await server.command(hidden.id, ['deploy'])
  await aWhile()
  t.same(manager.calls, [])
  t.equal((await server.app.store.outbox.pending(hidden.id, { after: 0, limit: 5 })).length, 1)

  peer.close()
  await until(async () => (await server.app.clusterChannel.connected([peer.id])).size === 0)
  await server.command(peer.id, ['deploy'])
  t.match(await manager.take(), { path: '/api/deploy' }, 'the one that advertises an address is called there')
})

t.test('a cluster that opens its channel while a call hangs gets the command there', async t => {
  const { server, manager, id } = await pair(t)
  let cut = false
  manager.answer = (_call, _reply, request) => request.socket.once('close', () => { cut = true })
  await server.command(id, ['deploy', 'replicate'])
  await manager.take()
  const peer = await register(t, server.url, { cluster_name: 'hpi' })
  t.match([(await peer.next('command')).seq, (await peer.next('command')).seq], [1, 2])
  await until(() => cut, 'the end of the call')
  await aWhile()
  t.equal(manager.calls.length, 1)
})
