import t from 'tap'
import { callBack } from '../../support/fake-scheduler.js'
import { startOrchestrator } from './over-http.js'

const UNKNOWN = 'ffffffffffffffffffffffff'

t.test('a job is asked about once, and goes where the scheduler says', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  const { path, body } = await scheduler.take()
  t.equal(path, '/api/calculate/deploy')
  t.match(body, { system_job_id: id, job: { job_name: 'demo.default.service1.test', image: /nginx/, requirements: { cpu: 1, memory: 100 } } })
  t.match(await until(id, /waiting for the answer/), { status: 'REQUESTED', explanation: { outcome: 'waiting' } })
  hpi.send('information', { cpu_percent: 11 })
  const other = await deploy('other')
  t.match(await scheduler.take(), { body: { system_job_id: other } }, 'a pass is made over both')
  t.equal(scheduler.asked.length, 2, 'the first is not asked about again while its answer is awaited')
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.match(await until(id, 'CLUSTER_SCHEDULED'), { status_reason: null, explanation: { outcome: 'placed', summary: 'placed on hpi by the Cloud Scheduler' } })
  t.match(await hpi.take('command'), { kind: 'deploy', job_id: id })
})

t.test('the reason on the job is stored before the question is sent, so nothing that the scheduler writes is older', async t => {
  const { scheduler, deploy, job } = await startOrchestrator(t)
  const seen = new Promise(resolve => scheduler.behave((_request, response) => {
    resolve(job('demo.default.service1.test'))
    response.end('ok')
  }))
  await deploy()
  t.match(await seen, { status_reason: /waiting for the answer/ })
})

t.test('every shape of an answer is taken, whatever its content type', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t)
  const { id: hpi } = await cluster('hpi', { cpu_cores: 100 })
  const document = { _id: { $oid: hpi }, cluster_name: 'hpi', worker_groups: [] }
  const shapes: Array<(id: string, job: object) => [string, string | undefined]> = [
    // The bytes of the original: requests' json=dumps({...}).
    (id, job) => [JSON.stringify(JSON.stringify({ cluster: document, job, job_id: id, replicas: 1 })), 'application/json'],
    (id, job) => [JSON.stringify(JSON.stringify({ cluster: document, job, job_id: id, replicas: 1 })), undefined],
    (id, job) => [JSON.stringify({ cluster: document, job, job_id: id, replicas: 1 }), 'text/plain'],
    (id, job) => [JSON.stringify({ cluster: [document], job, job_id: id, replicas: null }), 'application/octet-stream'],
    id => [JSON.stringify({ job_id: id, cluster_id: hpi }), 'application/json; charset=utf-8'],
    id => [JSON.stringify({ job_id: { $oid: id }, cluster_id: { $oid: hpi } }), 'application/json'],
    (id, job) => [JSON.stringify({ cluster: document, job: { ...job, _id: { $oid: id } } }), 'application/json'],
    (id, job) => [JSON.stringify(JSON.stringify({ cluster: { _id: hpi }, job: { ...job, _id: id } })), 'text/json']
  ]
  for (const [index, shape] of shapes.entries()) {
    const id = await deploy(`s${index}`)
    const { body: { job } } = await scheduler.take()
    const [bytes, type] = shape(id, job)
    const kind = index % 2 === 0 ? 'deploy' : 'replicate'
    t.same(await callBack(server.url, bytes, { kind, type }), { status: 200, text: 'ok' }, bytes)
    await until(id, 'CLUSTER_SCHEDULED')
  }
})

t.test('all unplaced instances go to the named cluster; additional ones are requested as replicas', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy('service1', 'replicas: 2\n')
  t.match(await scheduler.take(), { path: '/api/calculate/deploy' })
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  t.match(await until(id, 'CLUSTER_SCHEDULED'), { instance_list: [{ cluster_id: hpi.id }, { cluster_id: hpi.id }] })
  await deploy('service1', 'replicas: 4\n')
  t.match(await scheduler.take(), { path: '/api/calculate/replicate', body: { replicas: 4, job: { _id: id, job_name: 'demo.default.service1.test', instance_list: [{}, {}, {}, {}] } } })
  await callBack(server.url, { job_id: id, cluster_id: tum.id }, { kind: 'replicate' })
  await until(id, 'CLUSTER_SCHEDULED')
  t.match(await tum.take('command'), { kind: 'deploy', job: { instance_list: [{}, {}, { cluster_id: tum.id }, { cluster_id: tum.id }] } })
})

t.test('if a replicate question fails, as with the original, a deploy question follows', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  await scheduler.take()
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  scheduler.behave((request, response) => { response.writeHead(request.url === '/api/calculate/replicate' ? 500 : 200).end() })
  await deploy('service1', 'replicas: 2\n')
  t.match(await scheduler.take(), { path: '/api/calculate/replicate' })
  t.match(await scheduler.take(), { path: '/api/calculate/deploy', body: { system_job_id: id } })
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test('an answer about a job that has moved on changes nothing', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy()
  const first = await scheduler.take()
  await deploy('service1', 'cmd: changed\n')
  const second = await scheduler.take()
  t.same(await callBack(server.url, { job_id: id, job: first.body.job, cluster: { _id: { $oid: hpi.id } } }), { status: 200, text: 'ok' })
  t.match(await job(id), { generation: 2, instance_list: [{ cluster_id: '' }] }, 'it was about the first descriptor')
  await callBack(server.url, { job_id: id, job: second.body.job, cluster: { _id: { $oid: tum.id } } })
  const placed = await until(id, 'CLUSTER_SCHEDULED')
  t.equal(placed.instance_list[0].cluster_id, tum.id)
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.equal((await job(id)).revision, placed.revision, 'it is placed already')
  await server.fetch(`/api/delete/${id}`)
  const removing = await job(id)
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.equal((await job(id)).revision, removing.revision, 'it is being removed')
})

t.test('a callback that is no answer is refused with the field, one with an unknown id with 404', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  await scheduler.take()
  const refusals: Array<[string | object, number, RegExp]> = [
    ['', 400, /^json_invalid/],
    ['{"job_id":', 400, /^json_invalid/],
    ['"no json inside"', 400, /^json_invalid/],
    ['null', 400, /file: expected an object|expected an object/],
    ['[]', 400, /expected an object/],
    [{ cluster_id: hpi.id }, 400, /job_id: expected the id of the job/],
    [{ job_id: 'x', cluster_id: hpi.id }, 400, /job_id: expected an id of 24/],
    [{ job_id: id }, 400, /cluster: expected a cluster with its _id, or cluster_id/],
    [{ job_id: id, cluster_id: 7 }, 400, /cluster_id: expected an id/],
    [{ job_id: id, cluster: {} }, 400, /cluster: _id: expected an id of 24 hexadecimal digits/],
    [{ job_id: id, cluster: [] }, 400, /cluster: expected a cluster/],
    [{ job_id: id, status: 'RUNNING' }, 400, /status: expected/],
    [{ job_id: id, cluster_id: hpi.id, job: { job_name: 'an.other.job.name' } }, 400, /job\.job_name: expected demo\.default\.service1\.test/],
    [{ job_id: UNKNOWN, cluster_id: hpi.id }, 404, /^job_not_found/],
    [{ job_id: id, cluster_id: UNKNOWN }, 404, /^cluster_not_found/]
  ]
  for (const [body, status, text] of refusals) {
    const answer = await callBack(server.url, body)
    t.equal(answer.status, status, JSON.stringify(body))
    t.match(answer.text, text)
  }
  t.match(await job(id), { instance_list: [{ cluster_id: '' }] })
  t.match(await until(id, /named f{24}, which is no registered cluster/), { status: 'TargetClusterNotFound' })
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test('a negative placement of the scheduler counts, its reason shows, and it is asked again', async t => {
  const { server, scheduler, deploy, until } = await startOrchestrator(t)
  const id = await deploy()
  await scheduler.take()
  t.same(await callBack(server.url, { job_id: id, status: 'NoActiveClusterWithCapacity' }), { status: 200, text: 'ok' })
  t.match(await until(id, 'NoActiveClusterWithCapacity'), { status_reason: 'the Cloud Scheduler found no place' })
  await scheduler.take()
})
