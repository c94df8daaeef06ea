import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../schemas/job.js'
import { registerOverSocketIo, startClusterManager } from '../service/http-push/cluster-manager.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { ROOMY } from '../support/raw-cluster.js'
import { startServerProcess } from '../support/server-process.js'
import { serverWith } from '../support/server-with.js'
import { eventually } from '../support/waiting.js'
import { freePort } from './start-up/free-port.js'

/** As a start that has much to do between its last plugin and the socket. */
const SLOW = `
  export default fp(async app => {
    app.addHook('onReady', () => new Promise(resolve => setTimeout(resolve, 1500)))
  }, { name: 'one-more' })`

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
  const { job_id: job } = (await (await fetch(`${url}/api/deploy`, asYaml(yamlDescriptor()))).json()) as { job_id: string }
  t.match(await manager.take(), { method: 'POST', path: '/api/deploy' })
  await first.end('SIGKILL')

  const instances = [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.178.40', host_port: 50103 }]
  const outcomes: Array<number | string> = []
  manager.answer = (_call, reply) => {
    reply.end('ok')
    // An original one says it once, and does not look at what comes of it.
    post('/api/result/cluster_deploy', { job_id: job, instances }).then(
      ({ status }) => outcomes.push(status),
      (err: Error) => outcomes.push(String(err.cause))
    )
  }
  await startServerProcess(t, env, program)
  await eventually(async () => outcomes, said => said.length > 0)
  t.same(outcomes, [200])
  const { instance_list: list } = (await (await fetch(`${url}/api/v1/jobs/${job}`)).json()) as Job
  t.match(list, [{ host_ip: '192.168.178.40', namespace_ip: '10.18.0.2', status: 'DEPLOYED' }])
})
