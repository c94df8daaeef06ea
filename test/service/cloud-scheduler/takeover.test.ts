import t from 'tap'
import type { Status } from '../../../schemas/status.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { callBack, startFakeScheduler } from '../../support/fake-scheduler.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'
import { startServerProcess } from '../../support/server-process.js'
import { startOrchestrator } from './over-http.js'

/** As a store presents it when the scheduler has written jobs.jobs.status. */
async function writeVerdict ({ store: { jobs } }: TestServer, id: string, status: Status): Promise<void> {
  const job = (await jobs.get(id))!
  const instance_list = job.instance_list.map(instance => ({ ...instance, status, status_since: new Date().toISOString() }))
  const [result] = await jobs.commit([{ job: { ...job, status, instance_list }, events: [], commands: [] }])
  if (result?.outcome !== 'saved') throw new Error(result?.outcome)
}

t.test('with the fallback, the embedded scheduler takes over while the Cloud Scheduler does not answer', async t => {
  const { server, scheduler, deploy, job, until, cluster } = await startOrchestrator(t, { SCHEDULER_FALLBACK: 'embedded' })
  const hpi = await cluster('hpi', { cpu_cores: 6 })
  await scheduler.stop()
  const ids = await Promise.all(Array.from({ length: 6 }, (_, i) => deploy(`s${i}`)))
  for (const id of ids) t.match(await until(id, 'CLUSTER_SCHEDULED'), { explanation: { summary: 'placed on hpi (by the embedded scheduler: the Cloud Scheduler does not answer)' } })
  const large = await deploy('large', 'replicas: 9\n')
  t.match(await until(large, 'NoActiveClusterWithCapacity'), { status_reason: /hpi: .*\(by the embedded scheduler: the Cloud Scheduler does not answer\)$/ })
  t.match(await (await server.fetch('/api/test/scheduler', { headers: { accept: 'application/json' } })).json(), { code: 'scheduler_unavailable', hint: /embedded scheduler takes over/ })

  await scheduler.start()
  t.equal((await scheduler.take()).body.system_job_id, large, 'asked again as soon as it answers')
  await callBack(server.url, { job_id: large, cluster_id: hpi.id })
  await until(large, 'CLUSTER_SCHEDULED')
  t.same(await callBack(server.url, { job_id: ids[0], cluster_id: hpi.id }), { status: 200, text: 'ok' })
  t.match(await job(ids[0]!), { explanation: { summary: /by the embedded scheduler/ } }, 'a late answer changes nothing')
})

t.test('without the fallback, jobs wait for the Cloud Scheduler', async t => {
  const { scheduler, deploy, until, cluster } = await startOrchestrator(t)
  await cluster('hpi')
  await scheduler.stop()
  t.match(await until(await deploy(), /does not answer/), { status: 'REQUESTED', instance_list: [{ cluster_id: '' }] })
})

t.test('a verdict that the scheduler writes into the database stands, is explained, and is asked about again', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t, { PLACEMENT_RETRY_S: 0.5, SCHEDULER_CALLBACK_S: 3600 })
  const hpi = await cluster('hpi', { cpu_cores: 0.5 })
  await cluster('tum')
  const [small, phantom] = [
    await deploy('small', 'cluster_location: hpi\n'),
    await deploy('phantom', 'cluster_location: tum\n')
  ]
  for (const id of [small, phantom]) await until(id, /waiting for the answer/)
  const asked = await eventually(async () => scheduler.asked.length, count => count === 2)

  const began = Date.now()
  await writeVerdict(server, small, 'TargetClusterNoCapacity')
  await writeVerdict(server, phantom, 'TargetClusterNoCapacity')

  t.match(await until(small, /found no place/), {
    status: 'TargetClusterNoCapacity',
    status_reason: 'the Cloud Scheduler found no place: hpi: 0.5 cores free of 1 asked',
    explanation: { outcome: 'unplaceable', clusters: [{ cluster_name: 'hpi', fits: false }] }
  }, 'explained by the figures here')
  t.match(await until(phantom, /found no place/), { status: 'TargetClusterNoCapacity', status_reason: /^the Cloud Scheduler found no place, though by the figures here there is one: tum: / })
  await eventually(async () => scheduler.asked.length, count => count > asked)
  t.ok(Date.now() - began >= 250, 'not before half of the first rest is over')
  await eventually(async () => scheduler.asked.length, count => count >= asked + 2)
  await callBack(server.url, { job_id: small, cluster_id: hpi.id })
  await until(small, 'CLUSTER_SCHEDULED')
})

t.test('the same verdict, written again, cannot be seen: the first one stands when the time to call back is over', async t => {
  const { server, scheduler, deploy, until, job } = await startOrchestrator(t, { SCHEDULER_CALLBACK_S: 0.3 })
  const id = await deploy()
  await until(id, /waiting for the answer/)
  await writeVerdict(server, id, 'NoActiveClusterWithCapacity')
  const { revision } = await until(id, /found no place: no cluster is registered/)
  await eventually(async () => scheduler.asked.length, count => count >= 4)
  t.match(await job(id), { status: 'NoActiveClusterWithCapacity', status_reason: /found no place/, revision })
})

t.test('a question that is pending when the process is killed is asked again, and either answer counts', async t => {
  const scheduler = await startFakeScheduler(t)
  const env = { DATA_DIR: t.testdir(), ...Object.fromEntries(Object.entries(scheduler.config).map(([name, value]) => [name, String(value)])) }
  const first = await startServerProcess(t, env)
  const hpi = await connectCluster(t, first.url, { cluster_name: 'hpi' })
  hpi.send('information', ROOMY)
  const { job_id: id } = await (await fetch(`${first.url}/api/deploy`, asYaml(yamlDescriptor()))).json() as { job_id: string }
  await scheduler.take()
  await first.end('SIGKILL')

  const second = await startServerProcess(t, env)
  t.match(await scheduler.take(), { path: '/api/calculate/deploy', body: { system_job_id: id } })
  t.same(await callBack(second.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
  const status = async () => (await fetch(`${second.url}/api/job/status/${id}`)).text()
  t.equal(await status(), 'CLUSTER_SCHEDULED\n')
  t.same(await callBack(second.url, { job_id: id, cluster_id: hpi.id }), { status: 200, text: 'ok' })
})

t.test('a server that closes does not wait for a scheduler that hangs', async t => {
  const scheduler = await startFakeScheduler(t)
  scheduler.behave(() => {})
  const server = await startServerProcess(t, { DATA_DIR: t.testdir(), CLOUD_SCHEDULER_URL: '127.0.0.1', CLOUD_SCHEDULER_PORT: String(scheduler.config.CLOUD_SCHEDULER_PORT), SCHEDULER_TIMEOUT_S: '60' })
  await fetch(`${server.url}/api/deploy`, asYaml(yamlDescriptor()))
  await scheduler.take()
  const began = Date.now()
  t.equal(await server.end('SIGTERM'), 0)
  t.ok(Date.now() - began < 30_000, 'not for the 60 s that the scheduler has')
})

t.test('without a Cloud Scheduler the embedded one answers the test', async t => {
  const { server } = await startOrchestrator(t, { CLOUD_SCHEDULER_URL: '' })
  const answer = await server.fetch('/api/test/scheduler')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  t.equal(await answer.text(), 'the embedded scheduler answers\n')
  t.same(await (await server.fetch('/api/test/scheduler', { headers: { accept: 'application/json' } })).json(), { answers: true, message: 'the embedded scheduler answers' })
})
