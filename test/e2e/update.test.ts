import t from 'tap'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { NAME, places, running, runs, startWorld } from './world.js'

const image = (job: { descriptor: { image: string } }) => job.descriptor.image

t.test('an update rolls through the instances, one at a time, and keeps their addresses', async t => {
  const { cluster, deploy, until, server, events } = await startWorld(t)
  await cluster('hpi')
  await cluster('tum')
  await cluster('eth')
  await deploy('replicas: 3\n')
  const before = await until(runs(3))
  let least = 3
  const watch = setInterval(async () => {
    const job = await server.json(`/api/v1/jobs/${NAME}`)
    least = Math.min(least, job.instance_list.filter((entry: { status: string }) => entry.status === 'RUNNING').length)
  }, 5)
  t.teardown(() => clearInterval(watch))
  await deploy('replicas: 3\ncmd: [new]\n')
  const after = await until(job => job.generation === 2 && runs(3)(job))
  clearInterval(watch)
  t.equal(least, 2, 'never more than one was down')
  t.same(after.instance_list.map(entry => entry.instance_ip), before.instance_list.map(entry => entry.instance_ip))
  t.match(after.revisions, [{ generation: 1 }])
  t.ok((await events()).some(({ type }) => type === 'rolled_out'))
})

t.test('with a surge no instance is missed', async t => {
  const { cluster, deploy, until, server } = await startWorld(t)
  await cluster('hpi')
  await cluster('tum')
  const rollout = 'replicas: 2\nrollout: {max_surge: 1, max_unavailable: 0}\n'
  await deploy(rollout)
  await until(runs(2))
  let least = 2
  let most = 2
  const watch = setInterval(async () => {
    const job = await server.json(`/api/v1/jobs/${NAME}`)
    least = Math.min(least, job.instance_list.filter((entry: { status: string }) => entry.status === 'RUNNING').length)
    most = Math.max(most, job.instance_list.length)
  }, 5)
  t.teardown(() => clearInterval(watch))
  await deploy(`${rollout}cmd: [new]\n`)
  await until(job => job.generation === 2 && runs(2)(job))
  clearInterval(watch)
  t.same([least, most], [2, 3])
})

t.test('an update that fails is rolled back and shows why', async t => {
  const { cluster, deploy, until, events } = await startWorld(t)
  const hpi = await cluster('hpi')
  const id = await deploy()
  const before = await until(runs(1))
  hpi.events.on('command', ({ kind, job }) => {
    if (kind === 'deploy' && (job as { cmd?: string[] }).cmd?.[0] === 'broken') hpi.failJob(id, 'FAILED')
  })
  await deploy('cmd: [broken]\n')
  const after = await until(job => job.generation === 3 && runs(1)(job))
  t.notOk(after.descriptor.cmd)
  t.equal(image(after), image(before))
  t.same(places(after), [hpi.id])
  t.match(
    after.revisions.map(({ generation, descriptor }) => [generation, descriptor?.cmd]),
    [
      [2, ['broken']],
      [1, undefined]
    ]
  )
  t.match((await events()).filter(({ type }) => type === 'rolled_back'), [{ message: /generation 2 failed: instance 0 is FAILED/ }])
})

t.test('an update that does not come to an end in its time goes back', async t => {
  const { server, deploy, until, events } = await startWorld(t, { DEADLINE_ROLLOUT_S: 0.4 })
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const report = (status: string) => cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status }] })
  cluster.send('information', ROOMY)
  const id = await deploy()
  cluster.send('ack', { seq: (await cluster.take('command')).seq })
  report('RUNNING')
  await until(runs(1))
  await deploy('cmd: [slow]\n')
  cluster.send('ack', { seq: (await cluster.take('command')).seq })
  report('CREATED')
  const back = await cluster.take('command')
  t.match(back, { kind: 'deploy', job: { cmd: undefined, system_manager: { generation: 3 } } })
  cluster.send('ack', { seq: back.seq })
  await until(job => job.instance_list[0]!.awaits === null)
  report('RUNNING')
  await until(job => job.generation === 3 && runs(1)(job))
  t.match((await events()).filter(({ type }) => type === 'rolled_back'), [{ message: /did not get through all instances/ }])
})

t.test('a user goes back to an earlier generation', async t => {
  const { cluster, deploy, until, send } = await startWorld(t)
  await cluster('hpi')
  await deploy()
  await until(runs(1))
  t.match(await send('POST', `/api/v1/jobs/${NAME}/rollback`), { status: 404, body: { code: 'revision_not_found' } })
  await deploy('cmd: [two]\n')
  await until(job => job.generation === 2 && runs(1)(job))
  await deploy('cmd: [three]\n')
  await until(job => job.generation === 3 && runs(1)(job))
  t.equal((await send('POST', `/api/v1/jobs/${NAME}/rollback`)).status, 200)
  t.match(await until(job => job.generation === 4 && runs(1)(job)), { descriptor: { cmd: ['two'] } })
  t.equal((await send('POST', `/api/v1/jobs/${NAME}/rollback`, { generation: 1 })).status, 200)
  t.equal((await until(job => job.generation === 5 && runs(1)(job))).descriptor.cmd, undefined)
  t.match(await send('POST', `/api/v1/jobs/${NAME}/rollback`, { generation: 77 }), { status: 404 })
})

t.test('an update to another place starts there first', async t => {
  const { cluster, deploy, until } = await startWorld(t)
  const [hpi, tum] = [await cluster('hpi'), await cluster('tum')]
  await deploy('cluster_location: hpi\n')
  const before = await until(runs(1))
  await deploy('cluster_location: tum\n')
  const after = await until(job => job.generation === 2 && runs(1)(job))
  t.same(places(after), [tum.id])
  t.equal(after.instance_list[0]!.instance_ip, before.instance_list[0]!.instance_ip)
  t.same([running(hpi), running(tum)], [0, 1])
})
