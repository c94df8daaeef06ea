import t from 'tap'
import { NAME, places, running, runs, startWorld } from './world.js'

t.test('a move starts at the target first, takes the address along, and then leaves the source', async t => {
  const { cluster, deploy, until, send, events } = await startWorld(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  const before = await until(runs(1))
  const tum = await cluster('tum', { delays: { createMs: 100, startMs: 300 } })
  t.same(await send('POST', '/api/clusters/move', { job_id: id, from_location: 'hpi', to_location: 'tum' }), { status: 200, body: 'ok\n' })
  const during = await until(job => job.instance_list.length === 2 && job.instance_list[1]!.cluster_id === tum.id)
  t.equal(during.status, 'RUNNING', 'the source serves on')
  t.equal(running(hpi), 1)
  const after = await until(runs(1))
  t.same(places(after), [tum.id])
  t.equal(after.instance_list[0]!.instance_ip, before.instance_list[0]!.instance_ip)
  t.same([running(hpi), running(tum)], [0, 1])
  t.ok((await events()).some(({ type }) => type === 'moved'))
  t.same(await send('POST', '/api/clusters/move', { job_id: id, from_location: 'hpi', to_location: 'tum' }), { status: 200, body: 'ok\n' }, 'where it is already')
  t.equal((await until(runs(1))).revision, after.revision, 'nothing happened')
})

t.test('stop-first removes at the source before it starts at the target', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  const hpi = await cluster('hpi')
  await deploy()
  await until(runs(1))
  const tum = await cluster('tum')
  const overlaps: number[] = []
  tum.events.on('command', () => overlaps.push(running(hpi)))
  t.match(await send('POST', `/api/v1/jobs/${NAME}/move`, { to: 'tum', order: 'stop-first' }), { status: 200 })
  t.same(places(await until(job => runs(1)(job) && job.instance_list[0]!.cluster_id === tum.id)), [tum.id])
  t.same(overlaps, [0])
})

t.test('one instance of several is moved alone', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  const hpi = await cluster('hpi')
  await deploy('replicas: 3\n')
  await until(runs(3))
  const tum = await cluster('tum')
  await send('POST', `/api/v1/jobs/${NAME}/move`, { to: 'tum', from: 'hpi', instance_number: 1 })
  t.same(places(await until(job => runs(3)(job) && job.instance_list[1]!.cluster_id === tum.id)), [hpi.id, tum.id, hpi.id])
  t.same([running(hpi), running(tum)], [2, 1])
})

t.test('a move that does not start at its target leaves the source running and shows why', async t => {
  const { cluster, deploy, until, send, events } = await startWorld(t, { DEADLINE_MOVE_S: 2 })
  const hpi = await cluster('hpi')
  await deploy()
  await until(runs(1))
  const tum = await cluster('tum', { delays: { createMs: 60_000, startMs: 0 } })
  await send('POST', `/api/v1/jobs/${NAME}/move`, { to: 'tum' })
  await until(job => job.instance_list.some(entry => entry.cluster_id === tum.id))
  const after = await until(runs(1))
  t.same(places(after), [hpi.id])
  t.same([running(hpi), running(tum)], [1, 0])
  t.match((await events()).filter(({ type }) => type === 'move_failed'), [{ message: /stays on .*NODE_SCHEDULED|stays on .*CREAT/ }])
})

t.test('a move to where there is no room is given up with the reason', async t => {
  const { cluster, deploy, until, send, events } = await startWorld(t, { DEADLINE_MOVE_S: 2 })
  const hpi = await cluster('hpi')
  await deploy()
  await until(runs(1))
  await cluster('tum', { workers: [{ name: 'tiny', cores: 0.5, memoryMb: 100 }] })
  await send('POST', `/api/v1/jobs/${NAME}/move`, { to: 'tum' })
  await until(job => job.instance_list.length === 2)
  t.same(places(await until(runs(1))), [hpi.id])
  t.match((await events()).filter(({ type }) => type === 'move_failed'), [{ message: /tum: 0.5 cores free of 1 asked/ }])
})

t.test('a cluster moves what it runs between its worker nodes, by GET with a body too', async t => {
  const { server, cluster, deploy, until, send } = await startWorld(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  await until(runs(1))
  const from = hpi.running()[0]!.instances[0]!.worker
  const to = from === 'hpi-a' ? 'hpi-b' : 'hpi-a'
  t.same(await send('POST', '/api/nodes/move', { job_id: id, cluster: 'hpi', from_node: from, to_node: to }), { status: 200, body: 'Ok\n' })
  await until(() => hpi.running()[0]!.instances[0]!.worker === to)
  t.match(await send('POST', '/api/nodes/move', { job_id: id, cluster: 'hpi', from_node: from, to_node: 'nowhere' }), { status: 404 })
  // fetch refuses a GET with a body; the contract does not.
  const { request } = await import('undici')
  const answer = await request(`${server.url}/api/nodes/move`, { method: 'GET', body: JSON.stringify({ job_id: id, cluster: 'hpi', from_node: to, to_node: from }) })
  t.equal(await answer.body.text(), 'Ok\n')
  await until(() => hpi.running()[0]!.instances[0]!.worker === from)
})

t.test('unknown sources, targets and jobs are 404, malformed ones 400', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  await cluster('hpi')
  const id = await deploy()
  await until(runs(1))
  const move = (body: unknown) => send('POST', '/api/clusters/move', body)
  t.equal((await move({ job_id: id, from_location: 'hpi', to_location: 'mars' })).status, 404)
  t.equal((await move({ job_id: id, from_location: 'mars', to_location: 'hpi' })).status, 404)
  t.equal((await move({ job_id: 'f'.repeat(24), from_location: 'hpi', to_location: 'hpi' })).status, 404)
  t.equal((await move({ job_id: 'nonsense', from_location: 'hpi', to_location: 'hpi' })).status, 400)
  t.match(await move({ job_id: id, from_location: 'hpi' }), { status: 400, body: /to_location/ })
  t.match(await send('GET', '/api/clusters/move'), { status: 400, body: /job_id/ })
  t.match(await send('GET', `/api/clusters/move?job_id=${id}&from_location=hpi&to_location=mars`), { status: 404 })
  t.match(await send('POST', '/api/nodes/move', { job_id: id, cluster: 'mars', from_node: 'a', to_node: 'b' }), { status: 404 })
})
