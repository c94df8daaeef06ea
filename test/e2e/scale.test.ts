import t from 'tap'
import { NAME, places, running, runs, startWorld } from './world.js'

t.test('a job is scaled up over the clusters, down again, to nothing and back, by every endpoint', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy()
  await until(runs(1))

  t.same(await send('POST', '/api/replicate', { job_id: id, replicas: 4 }), { status: 200, body: 'ok' })
  const four = await until(runs(4))
  t.same(places(four).sort(), [hpi.id, hpi.id, tum.id, tum.id].sort(), 'spread evenly')
  t.equal(new Set(four.instance_list.map(entry => entry.instance_ip)).size, 4)
  t.same([running(hpi), running(tum)], [2, 2])

  t.same(await send('GET', `/api/replicate_down/${NAME}/3`), { status: 200, body: 'ok' })
  const three = await until(runs(3))
  t.same(three.instance_list.map(entry => entry.instance_number), [0, 1, 2], 'the highest number went')
  t.equal(running(hpi) + running(tum), 3)

  t.match(await send('PATCH', `/api/v1/jobs/${NAME}`, { replicas: 0 }), { status: 200, body: { replicas: 0 } })
  const none = await until(job => job.instance_list.length === 0 && job.retiring.length === 0)
  t.match(none, { status: 'COMPLETED', status_reason: /scaled to 0/, desired_state: 'running' })
  t.equal(running(hpi) + running(tum), 0)
  t.equal(none.service_ip_list.length, 1, 'it keeps its service address')

  t.same(await send('POST', '/api/replicate_up', { job_id: NAME, replicas: 2 }), { status: 200, body: 'ok' })
  await until(runs(2))
})

t.test('pack fills one cluster before the next', async t => {
  const { cluster, deploy, until } = await startWorld(t)
  await cluster('hpi')
  await cluster('tum')
  await deploy('placement: pack\nreplicas: 4\n')
  t.equal(new Set(places(await until(runs(4)))).size, 1)
})

t.test('on the way down what does not run goes first', async t => {
  const { cluster, deploy, until, send } = await startWorld(t, { DEADLINE_STOPPED_S: 60 })
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  const id = await deploy('replicas: 2\n')
  const before = await until(runs(2))
  const [first] = before.instance_list
  const [sick, well] = first!.cluster_id === hpi.id ? [hpi, tum] : [tum, hpi]
  sick.failJob(id, 'FAILED')
  await until(job => job.instance_list[0]!.status === 'FAILED')
  await send('PATCH', `/api/v1/jobs/${id}`, { replicas: 1 })
  const after = await until(runs(1))
  t.same(after.instance_list.map(entry => [entry.instance_number, entry.cluster_id]), [[1, well.id]])
  await send('PATCH', `/api/v1/jobs/${id}`, { replicas: 2 })
  t.same((await until(runs(2))).instance_list.map(entry => entry.instance_number), [0, 1], 'the free number is used again')
})

t.test('what cannot be meant is refused with the field, and changes nothing', async t => {
  const { deploy, job, until, send } = await startWorld(t)
  await deploy()
  const before = await until(seen => seen.status === 'NoActiveClusterWithCapacity')
  for (const replicas of [-1, 1.5, 1001, '2', null]) {
    t.match(await send('PATCH', `/api/v1/jobs/${NAME}`, { replicas }), { status: 400, body: { code: 'bad_request', violations: [{ field: 'replicas' }] } }, `${replicas}`)
    if (replicas !== '2') t.equal((await send('POST', '/api/replicate', { job_id: NAME, replicas })).status, 400, `${replicas}`)
  }
  t.equal((await send('GET', `/api/replicate_down/${NAME}/-1`)).status, 400)
  t.equal((await send('GET', `/api/replicate_down/${NAME}/9999`)).status, 400)
  t.equal((await send('PATCH', '/api/v1/jobs/no.such.job.here', { replicas: 2 })).status, 404)
  t.equal((await send('PATCH', '/api/v1/jobs/nonsense', { replicas: 2 })).status, 400)
  t.same(await job(), before)
  await send('DELETE', `/api/v1/jobs/${NAME}`)
  t.match(await send('PATCH', `/api/v1/jobs/${NAME}`, { replicas: 2 }), { status: 409, body: { code: 'job_not_running' } })
})
