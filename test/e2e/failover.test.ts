import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { startServer } from '../support/server.js'
import { eventually, patience } from '../support/waiting.js'
import { impatient, NAME, places, running, runs, startWorld, stateFile } from './world.js'

t.test('what a silent cluster runs is started elsewhere, and removed from it when it returns', async t => {
  const { cluster, deploy, until, server, events } = await startWorld(t)
  const state = stateFile(t)
  const hpi = await cluster('hpi', { stateFile: state })
  const id = await deploy()
  const before = await until(runs(1))
  const tum = await cluster('tum')
  await hpi.kill()
  const dead = await until(job => job.instance_list[0]!.silent)
  t.match(dead.instance_list[0], { status: 'DEAD', status_reason: /hpi gives no sign of life/ })
  const after = await until(job => job.status === 'RUNNING' && job.instance_list.length === 1)
  t.same(places(after), [tum.id])
  t.equal(after.instance_list[0]!.instance_ip, before.instance_list[0]!.instance_ip)
  t.match(after.retiring, [{ cluster_id: hpi.id }], 'hpi has yet to remove it')
  t.match(await server.json(`/api/v1/clusters/${hpi.id}`), { active: false, lost_at: /\d/, losses: 1 })

  const returned = await cluster('hpi', { stateFile: state })
  t.equal(returned.id, hpi.id)
  await until(runs(1))
  t.same([running(returned), running(tum)], [0, 1])
  t.match(await eventually(() => server.json(`/api/v1/clusters/${hpi.id}`), seen => seen.lost_at === null), { active: true, recovered_at: /\d/ })
  t.ok((await events(id)).some(({ type }) => type === 'moved'))
})

t.test('a service that is tied to its cluster waits for it, and shows RUNNING again when it is back', async t => {
  const { cluster, deploy, until } = await startWorld(t)
  const state = stateFile(t)
  const hpi = await cluster('hpi', { stateFile: state })
  await cluster('tum')
  await deploy('cluster_location: hpi\n')
  await until(runs(1))
  await hpi.kill()
  t.match((await until(job => job.status === 'DEAD')).status_reason, /hpi gives no sign of life, and the descriptor pins it there/)
  await cluster('hpi', { stateFile: state })
  t.same(places(await until(runs(1))), [hpi.id])
})

t.test('failover: any lets a tied service go elsewhere', async t => {
  const { cluster, deploy, until } = await startWorld(t)
  const hpi = await cluster('hpi')
  const tum = await cluster('tum')
  await deploy('cluster_location: hpi\nfailover: any\n')
  await until(runs(1))
  await hpi.kill()
  t.same(places(await until(job => job.status === 'RUNNING' && job.instance_list.length === 1 && job.instance_list[0]!.cluster_id === tum.id)), [tum.id])
})

t.test('a cluster that comes back before its instances run elsewhere keeps them', async t => {
  const { cluster, deploy, until, events } = await startWorld(t)
  const state = stateFile(t)
  const hpi = await cluster('hpi', { stateFile: state })
  await deploy()
  await until(runs(1))
  await hpi.kill()
  await until(job => job.instance_list.length === 2)
  await cluster('hpi', { stateFile: state })
  t.same(places(await until(runs(1))), [hpi.id])
  t.ok((await events()).some(({ type }) => type === 'move_ended'))
})

t.test('a drained cluster is emptied and takes nothing until it is uncordoned', async t => {
  const { cluster, deploy, until, send, server } = await startWorld(t)
  const hpi = await cluster('hpi')
  await deploy('replicas: 2\n')
  await until(runs(2))
  const tum = await cluster('tum')
  t.match(await send('DELETE', `/api/v1/clusters/${hpi.id}`), { status: 409, body: { code: 'cluster_in_use', hint: /drain/ } })
  t.match(await send('POST', `/api/v1/clusters/${hpi.id}/drain`), { status: 200, body: { scheduling: 'draining' } })
  t.same(places(await until(job => runs(2)(job) && job.instance_list.every(entry => entry.cluster_id === tum.id))), [tum.id, tum.id])
  t.same([running(hpi), running(tum)], [0, 2])
  await deploy('cluster_location: hpi\n', 'pinned')
  const stuck = await until(job => job.status === 'TargetClusterNoCapacity', 'demo.default.pinned.test')
  t.equal(stuck.status_reason, 'hpi: is being drained')
  t.match(await send('POST', `/api/v1/clusters/${hpi.id}/uncordon`), { status: 200, body: { scheduling: 'active' } })
  await until(runs(1), 'demo.default.pinned.test')
  t.match(await send('POST', `/api/v1/clusters/${tum.id}/cordon`), { status: 200, body: { scheduling: 'cordoned' } })
  t.equal((await server.json(`/api/v1/jobs/${NAME}`)).instance_list.length, 2, 'a cordoned cluster keeps what it has')
  t.equal((await send('POST', '/api/v1/clusters/ffffffffffffffffffffffff/drain')).status, 404)
})

t.test('a drain that finds no other place leaves the service running and shows why', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  const hpi = await cluster('hpi')
  await deploy()
  await until(runs(1))
  await send('POST', `/api/v1/clusters/${hpi.id}/drain`)
  const waiting = await until(job => job.instance_list.length === 2 && job.instance_list[1]!.status_reason !== null)
  t.equal(waiting.status, 'RUNNING')
  t.match(waiting.instance_list[1], { status: 'NoActiveClusterWithCapacity', status_reason: /hpi: is being drained/ })
  await send('POST', `/api/v1/clusters/${hpi.id}/uncordon`)
  t.same(places(await until(runs(1))), [hpi.id])
})

t.test('after a start the silence of clusters that could not be heard is not held against them', async t => {
  const DATA_DIR = dirname(stateFile(t))
  const silence = patience(1.5)
  const settings = { ...impatient(), FAILOVER_AFTER_S: silence, DATA_DIR }
  const before = await startServer(t, settings)
  const hpi = await connectCluster(t, before.url, { cluster_name: 'hpi' })
  hpi.send('information', ROOMY)
  const { job_id: id } = await (await before.fetch('/api/deploy', asYaml(yamlDescriptor()))).json() as { job_id: string }
  const { seq } = await hpi.take('command')
  hpi.send('ack', { seq })
  hpi.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await eventually(() => before.text(`/api/job/status/${id}`), status => status === 'RUNNING\n')
  await before.close()
  await sleep(silence * 1300)

  const after = await startServer(t, settings)
  await sleep(silence * 500)
  const again = await connectCluster(t, after.url, { cluster_name: 'hpi', last_seq: seq })
  const beats = setInterval(() => again.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] }), 100)
  t.teardown(() => clearInterval(beats))
  await sleep(silence * 1300)
  t.equal(await after.text(`/api/job/status/${id}`), 'RUNNING\n')
  const { items } = await after.json(`/api/v1/jobs/${id}/events`)
  t.notOk(items.some(({ type }: { type: string }) => type === 'lost'))
})
