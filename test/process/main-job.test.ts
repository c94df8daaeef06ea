import t from 'tap'
import { asForm, yamlDescriptor } from '../support/descriptor.js'
import { spawnProgram } from '../support/program.js'
import { startServerProcess } from '../support/server-process.js'
import { eventually } from '../support/waiting.js'

t.test('a service that is deployed with a form comes to RUNNING on a simulated cluster, and goes when it is deleted', async t => {
  const server = await startServerProcess(t, { DATA_DIR: t.testdir(), LOG_LEVEL: 'info' })
  const simulator = spawnProgram(import.meta.resolve('../../simulator/run.js'), ['--url', `${server.url.replace('http', 'ws')}/register`, '--cluster', 'hpi', '--create-ms', '10', '--start-ms', '10'])
  t.teardown(() => simulator.kill('SIGKILL'))
  const text = async (path: string): Promise<string> => (await fetch(server.url + path)).text()
  await eventually(async () => JSON.parse(await text('/api/clusters')) as Array<{ cluster_name: string }>, clusters => clusters.length === 1)

  const answer = await fetch(`${server.url}/api/deploy`, asForm(yamlDescriptor()))
  t.equal(answer.status, 200)
  const { job_id: id } = await answer.json() as { job_id: string }
  await eventually(() => text(`/api/job/status/${id}`), status => status === 'RUNNING\n')
  t.match(JSON.parse(await text('/api/jobs')), [{ job_name: 'demo.default.service1.test', status: 'RUNNING', instance_list: [{ instance_number: 0 }] }])

  t.equal((await fetch(`${server.url}/api/delete/${id}`)).status, 200)
  await eventually(() => text(`/api/v1/jobs/${id}`), job => JSON.parse(job).status === 'UNDEPLOYED')
  t.equal(await server.end('SIGTERM'), 0)
})
