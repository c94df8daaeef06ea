import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Job } from '../../schemas/job.js'
import { registerOverSocketIo, startClusterManager } from '../service/http-push/cluster-manager.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { callBack, startFakeScheduler } from '../support/fake-scheduler.js'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { startServerProcess } from '../support/server-process.js'
import { serverWith } from '../support/server-with.js'
import { eventually } from '../support/waiting.js'
import { freePort } from './start-up/free-port.js'

/** As a start that has much to do between its last plugin and the socket. */
const SLOW = `
  export default fp(async app => {
    app.addHook('onReady', () => new Promise(resolve => setTimeout(resolve, 1500)))
  }, { name: 'one-more' })`

/** What came of a message to the server: the status of its answer, or why there was none. */
type Outcome = number | string

const noting = (outcomes: Outcome[]) =>
  [
    ({ status }: { status: number }) => outcomes.push(status),
    (err: Error) => outcomes.push(String(err.cause))
  ] as const

/** The job, once the server has heard the one message about it. */
async function heard (t: Test, outcomes: Outcome[], job: string): Promise<Job> {
  await eventually(
    async () => outcomes,
    said => said.length > 0
  )
  t.same(outcomes, [200])
  return (await (await fetch(job)).json()) as Job
}

t.test('after a restart a cluster manager gets its command only once it can answer', async t => {
  const program = serverWith(t, SLOW)
  const env = { MY_PORT: await freePort(), DATA_DIR: join(t.testdirName, 'data'), LOG_LEVEL: 'info' }
  const first = await startServerProcess(t, env, program)
  const { url } = first
  const manager = await startClusterManager(t)
  manager.answer = () => {}
  const id = await registerOverSocketIo(Number(env.MY_PORT), { cluster_name: 'hpi', manager_port: manager.port })
  const post = (path: string, body: object) =>
    fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  await post(`/api/information/${id}`, ROOMY)
  const { job_id: job } = (await (await fetch(`${url}/api/deploy`, asYaml(yamlDescriptor()))).json()) as {
    job_id: string
  }
  t.match(await manager.take(), { method: 'POST', path: '/api/deploy' })
  await first.end('SIGKILL')

  const instances = [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.178.40', host_port: 50103 }]
  const outcomes: Outcome[] = []
  manager.answer = (_call, reply) => {
    reply.end('ok')
    // An original one says it once, and does not look at what comes of it.
    post('/api/result/cluster_deploy', { job_id: job, instances }).then(...noting(outcomes))
  }
  await startServerProcess(t, env, program)
  const { instance_list: list } = await heard(t, outcomes, `${url}/api/v1/jobs/${job}`)
  t.match(list, [{ host_ip: '192.168.178.40', namespace_ip: '10.18.0.2', status: 'DEPLOYED' }])
})

t.test('after a restart the Cloud Scheduler is asked only once it can call back', async t => {
  const program = serverWith(t, SLOW)
  const scheduler = await startFakeScheduler(t)
  const env = {
    MY_PORT: await freePort(),
    DATA_DIR: join(t.testdirName, 'data'),
    LOG_LEVEL: 'info',
    ...Object.fromEntries(Object.entries(scheduler.config).map(([name, value]) => [name, String(value)]))
  }
  const first = await startServerProcess(t, env, program)
  const hpi = await connectCluster(t, first.url, { cluster_name: 'hpi' })
  hpi.send('information', ROOMY)
  const answer = await fetch(`${first.url}/api/deploy`, asYaml(yamlDescriptor()))
  const { job_id: job } = (await answer.json()) as { job_id: string }
  t.equal((await scheduler.take()).body.system_job_id, job)
  await first.end('SIGKILL')

  const outcomes: Outcome[] = []
  scheduler.behave((request, response) => {
    response.end('ok')
    if (request.method !== 'POST') return
    callBack(first.url, { job_id: job, cluster_id: hpi.id }).then(...noting(outcomes))
  })
  await startServerProcess(t, env, program)
  const { instance_list: list } = await heard(t, outcomes, `${first.url}/api/v1/jobs/${job}`)
  t.match(list, [{ cluster_id: hpi.id, status: 'CLUSTER_SCHEDULED' }])
})
