import t from 'tap'
import { callBack } from '../../support/fake-scheduler.js'
import { eventually } from '../../support/server.js'
import { startOrchestrator } from './over-http.js'

t.test('a cluster that cannot be meant gets nothing, and the job tells why', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t, { CLUSTER_GRACE_S: 1, PING_INTERVAL_S: 3600 })
  const dead = await cluster('dead')
  await new Promise(resolve => setTimeout(resolve, 1100))
  const tum = await cluster('tum')
  const anywhere = await deploy('a')
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: anywhere, cluster_id: dead.id }), { status: 200, text: 'ok' })
  t.match(await job(anywhere), { status: 'TargetClusterNotActive', status_reason: /^the Cloud Scheduler named dead, which gave its last sign of life at 20/, explanation: { clusters: [{ cluster_name: 'dead', fits: false }] } })
  const elsewhere = await deploy('b', 'cluster_location: hpi\n')
  await callBack(server.url, { job_id: elsewhere, cluster_id: tum.id })
  t.match(await job(elsewhere), { status: 'TargetClusterNotFound', status_reason: 'the Cloud Scheduler named tum, which is not at hpi' })
  t.notOk(tum.frames.some(({ event }) => event === 'command'))
  t.match(await until(anywhere, /named dead/), { instance_list: [{ cluster_id: '' }] })
})

t.test('a cluster that has just refused the job is not given it again', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy()
  await scheduler.take()
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await hpi.take('command')
  hpi.send('nack', { seq: 1, error: 'NO_WORKER_CAPACITY' })
  // It is told to remove what it may have of it all the same, and has to confirm before anything else.
  t.match(await hpi.take('command'), { seq: 2, kind: 'delete' })
  hpi.send('ack', { seq: 2 })
  await eventually(() => job(id), ({ retiring }) => retiring.length === 0)
  await scheduler.take()
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  t.match(await job(id), { status: 'TargetClusterNoCapacity', status_reason: 'the Cloud Scheduler named hpi, which refused it within the last minute' })
  await scheduler.take()
  await callBack(server.url, { job_id: id, cluster_id: tum.id })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test('a cordoned cluster gets nothing, whatever the scheduler thinks of it', async t => {
  const { server, scheduler, deploy, job, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  t.equal((await server.fetch(`/api/v1/clusters/${hpi.id}/cordon`, { method: 'POST' })).status, 200)
  const id = await deploy()
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.match(await job(id), { status: 'TargetClusterNotActive', status_reason: 'the Cloud Scheduler named hpi, which is cordoned' })
})
