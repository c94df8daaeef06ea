import t from 'tap'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { NAME, runs, startWorld } from './world.js'

t.test('an instance that does not start in time is tried elsewhere, and in the end left FAILED with its story', async t => {
  const { cluster, deploy, until, events } = await startWorld(t, { DEADLINE_SCHEDULED_S: patience(0.3), MAX_START_ATTEMPTS: 2 })
  const stuck = { delays: { createMs: 60_000, startMs: 0 } }
  const [hpi, tum] = [await cluster('hpi', stuck), await cluster('tum', stuck)]
  await deploy()
  const end = await until(job => job.status === 'FAILED')
  t.match(end.status_reason, new RegExp(`given up after 2 starts: .*(${hpi.id}|${tum.id}) was NODE_SCHEDULED since .*; .*was NODE_SCHEDULED`))
  t.equal((await events()).filter(({ type }) => type === 'retried').length, 1)
})

t.test('what a cluster does not report any more is sent again', async t => {
  const { cluster, deploy, until, events } = await startWorld(t)
  const hpi = await cluster('hpi')
  await deploy()
  await until(runs(1))
  // It comes back with nothing, and claims to have taken every command.
  await hpi.kill()
  await cluster('hpi')
  await until(runs(1))
  const log = await events()
  t.ok(log.some(({ type }) => type === 'resent') || log.some(({ message }) => /CLUSTER_SCHEDULED/.test(message)), 'by resync or by command')
})

t.test('a job that a heartbeat leaves out twice is sent again', async t => {
  const { server, deploy, until } = await startWorld(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  const id = await deploy()
  const { seq } = await cluster.take('command')
  cluster.send('ack', { seq })
  cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await until(runs(1))
  const forgetful = setInterval(() => cluster.send('information', { ...ROOMY, jobs: [] }), 50)
  t.teardown(() => clearInterval(forgetful))
  t.match(await cluster.take('command'), { kind: 'deploy', job_id: id })
  t.equal((await until(job => job.status === 'CLUSTER_SCHEDULED')).id, id)
})

t.test('a job that a cluster should not run is shown on it, and gone when it is gone', async t => {
  const { server } = await startWorld(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const stranger = { system_job_id: 'f'.repeat(24), status: 'RUNNING' }
  cluster.send('information', { ...ROOMY, jobs: [stranger] })
  const shown = await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.unknown_jobs.length > 0)
  t.same(shown.unknown_jobs, [{ job_id: stranger.system_job_id, status: 'RUNNING' }])
  const beats = setInterval(() => cluster.send('information', ROOMY), 50)
  t.teardown(() => clearInterval(beats))
  await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.unknown_jobs.length === 0)
})

t.test('a cluster that still runs what it confirmed to have removed gets the delete again', async t => {
  const { server, deploy, until, send } = await startWorld(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  const id = await deploy()
  cluster.send('ack', { seq: (await cluster.take('command')).seq })
  await send('DELETE', `/api/v1/jobs/${NAME}`)
  cluster.send('ack', { seq: (await cluster.take('command')).seq })
  await until(job => job.status === 'UNDEPLOYED', id)
  const beats = setInterval(() => cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] }), 50)
  t.teardown(() => clearInterval(beats))
  t.match(await cluster.take('command'), { kind: 'delete', job_id: id })
})
