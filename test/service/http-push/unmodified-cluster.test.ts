import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'
import { startServerProcess } from '../../support/server-process.js'
import { openPolling } from '../socket-io/polling.js'
import { registerOverSocketIo, startClusterManager, status } from './cluster-manager.js'

const portOf = (url: string) => Number(new URL(url).port)

const postTo = (url: string) => (path: string, body: unknown) =>
  fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

t.test('an unmodified cluster manager takes a service from deploy to RUNNING and to UNDEPLOYED, though it answers 500 to the deploy', async t => {
  const server = await startServer(t)
  const post = postTo(server.url)
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(portOf(server.url), { cluster_name: 'hpi', manager_port: manager.port, network_component_port: 10110, cluster_location: 'hpi' })
  t.match(await server.json(`/api/v1/clusters/${id}`), { active: true, connected: false, delivery: 'http', ip: '127.0.0.1', port: manager.port })

  manager.answer = status(500)
  const { job_id: jobId } = (await (await server.fetch('/api/deploy', asYaml(yamlDescriptor('service1')))).json()) as {
    job_id: string
  }
  t.equal(await (await post(`/api/information/${id}`, ROOMY)).text(), 'ok', 'the first heartbeat lets it be placed')
  const deploy = await manager.take()
  t.match(JSON.parse(deploy.body), {
    _id: jobId,
    job_name: 'demo.default.service1.test',
    service_name: 'service1',
    instance_list: [{ cluster_id: id, instance_number: 0 }]
  })
  t.equal(JSON.parse(deploy.body).instance_list.length, 1, 'it stands no other body')
  await eventually(() => server.json(`/api/v1/jobs/${jobId}`), job => /its heartbeats decide/.test(job.status_reason))

  manager.answer = status(200)
  await post('/api/result/cluster_deploy', {
    job_id: jobId,
    instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '127.0.0.1', host_port: 50103 }]
  })
  t.equal(await server.text(`/api/job/status/${jobId}`), 'DEPLOYED\n')
  await post(`/api/information/${id}`, { ...ROOMY, jobs: [{ system_job_id: jobId, status: 'RUNNING' }] })
  t.equal(await server.text(`/api/job/status/${jobId}`), 'RUNNING\n')
  await server.fetch(`/api/delete/${jobId}`)
  t.match(await manager.take(), { method: 'GET', path: `/api/delete/${jobId}` })
  await eventually(() => server.json(`/api/v1/jobs/${jobId}`), job => job.status === 'UNDEPLOYED')
  t.equal(manager.calls.length, 2)
})

t.test('commands that could not be pushed survive a kill -9 and are pushed by the next process', async t => {
  const DATA_DIR = t.testdir()
  const first = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(portOf(first.url), { cluster_name: 'hpi', manager_port: manager.port })
  await manager.hangUp()
  await postTo(first.url)(`/api/information/${id}`, ROOMY)
  const { job_id: jobId } = await (await fetch(`${first.url}/api/deploy`, asYaml(yamlDescriptor()))).json() as { job_id: string }
  await eventually(async () => (await fetch(`${first.url}/api/v1/jobs/${jobId}`)).json() as Promise<{ status_reason: string }>, job => /ECONNREFUSED/.test(job.status_reason))
  await first.end('SIGKILL')
  await manager.listen()
  await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
  t.equal(JSON.parse((await manager.take()).body)._id, jobId)
})

t.test('SIGTERM ends open polls, and a call that hangs, in time and with 0', async t => {
  const server = await startServerProcess(t, { DATA_DIR: t.testdir(), LOG_LEVEL: 'info' })
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(portOf(server.url), { cluster_name: 'hpi', manager_port: manager.port })
  manager.answer = () => {}
  await postTo(server.url)(`/api/information/${id}`, ROOMY)
  await fetch(`${server.url}/api/deploy`, asYaml(yamlDescriptor()))
  await manager.take()
  const peer = await openPolling(portOf(server.url), 4)
  await peer.post('40/register,')
  await peer.poll()
  // It is answered, or cut off when the process is gone before the answer is through.
  const poll = peer.poll().then(({ text }) => text, () => 'cut')
  const began = performance.now()
  t.equal(await server.end('SIGTERM'), 0)
  t.ok(performance.now() - began < 2500, `took ${Math.round(performance.now() - began)} ms`)
  t.match(await poll, /41\/register|^1$|^cut$/)
})
