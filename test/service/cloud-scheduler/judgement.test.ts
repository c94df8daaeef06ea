import t from 'tap'
import { callBack } from '../../support/fake-scheduler.js'
import { eventually } from '../../support/waiting.js'
import { silentFor, startOrchestrator } from './over-http.js'

t.test('a cluster that is dead or elsewhere gets nothing, and the job shows why', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t)
  const dead = await silentFor(server, 60, 'dead')
  const tum = await cluster('tum')
  const anywhere = await deploy('a')
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: anywhere, cluster_id: dead }), { status: 200, text: 'ok' })
  t.match(await job(anywhere), { status: 'TargetClusterNotActive', status_reason: /^the Cloud Scheduler named dead, which gave its last sign of life at 20/, explanation: { clusters: [{ cluster_name: 'dead', fits: false }] } })
  const elsewhere = await deploy('b', 'cluster_location: hpi\n')
  await callBack(server.url, { job_id: elsewhere, cluster_id: tum.id })
  t.match(await job(elsewhere), { status: 'TargetClusterNotFound', status_reason: 'the Cloud Scheduler named tum, which is not at hpi' })
  t.notOk(tum.frames.some(({ event }) => event === 'command'))
  t.match(await until(anywhere, /named dead/), { instance_list: [{ cluster_id: '' }] })
})

t.test('a cluster that has just refused the job does not get it again', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy()
  await scheduler.take()
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await hpi.take('command')
  hpi.send('nack', { seq: 1, error: 'NO_WORKER_CAPACITY' })
  // The removal of whatever it may have is commanded all the same, and has to be acknowledged first.
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

t.test('a cordoned cluster gets nothing, whatever the scheduler says', async t => {
  const { server, scheduler, deploy, job, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  t.equal((await server.fetch(`/api/v1/clusters/${hpi.id}/cordon`, { method: 'POST' })).status, 200)
  const id = await deploy()
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.match(await job(id), { status: 'TargetClusterNotActive', status_reason: 'the Cloud Scheduler named hpi, which is cordoned' })
})
