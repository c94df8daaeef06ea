import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY, type RawCluster } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

const NAME = 'demo.default.service1.test'

async function deploy (server: TestServer, content = yamlDescriptor()): Promise<string> {
  return (await (await server.fetch('/api/deploy', asYaml(content))).json() as { job_id: string }).job_id
}

const job = (server: TestServer, ref = NAME) => server.json(`/api/v1/jobs/${ref}`)
const untilStatus = (server: TestServer, status: string, ref = NAME) => eventually(() => job(server, ref), seen => seen.status === status)

/** A cluster that has room and has said so. */
async function roomyCluster (t: Parameters<typeof connectCluster>[0], server: TestServer, cluster_name: string, figures: Record<string, unknown> = {}): Promise<RawCluster> {
  const cluster = await connectCluster(t, server.url, { cluster_name, cluster_location: cluster_name })
  cluster.send('information', { ...ROOMY, ...figures })
  await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.last_heartbeat_at !== null)
  return cluster
}

t.test('from deploy to RUNNING and to UNDEPLOYED, with every step in the events', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  const id = await deploy(server)

  const command = await cluster.take('command')
  t.match(command, { seq: 1, kind: 'deploy', job_id: id, command_id: /\w/, job: { _id: id, job_name: NAME, image: /nginx/, instance_list: [{ instance_number: 0, cluster_id: cluster.id, instance_ip: /^172\.30\./ }] } })
  t.match(await job(server), { status: 'CLUSTER_SCHEDULED', explanation: { outcome: 'placed', summary: 'placed on hpi' } })
  cluster.send('ack', { seq: 1 })
  cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'NODE_SCHEDULED' }] })
  await untilStatus(server, 'NODE_SCHEDULED')
  cluster.send('result', { job_id: id, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  t.match(await untilStatus(server, 'DEPLOYED'), { instance_list: [{ namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: '50103' }] })
  cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await untilStatus(server, 'RUNNING')

  t.equal(await server.text(`/api/delete/${NAME}`), 'ok\n')
  t.match(await cluster.take('command'), { seq: 2, kind: 'delete', job_id: id })
  t.not((await job(server, id)).status, 'UNDEPLOYED', 'not before the cluster has confirmed')
  cluster.send('ack', { seq: 2 })
  t.match(await untilStatus(server, 'UNDEPLOYED', id), { instance_list: [], service_ip_list: [], retiring: [] })

  const { items } = await server.json(`/api/v1/jobs/${id}/events`)
  t.same(items.flatMap(({ type, to }: { type: string, to?: string }) => type === 'status' ? [to] : []), ['CLUSTER_SCHEDULED', 'NODE_SCHEDULED', 'DEPLOYED', 'RUNNING'])
})

t.test('late, repeated, foreign and unknown reports never move a job back', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  const stranger = await roomyCluster(t, server, 'tum', { cpu_cores: 0 })
  const id = await deploy(server)
  await cluster.take('command')
  const report = (from: RawCluster, status: string) => from.send('information', { jobs: [{ system_job_id: id, status }] })
  report(cluster, 'RUNNING')
  const running = await untilStatus(server, 'RUNNING')
  for (const late of ['NODE_SCHEDULED', 'CREATED', 'RUNNING', 'DEPLOYED', 'REQUESTED']) report(cluster, late)
  report(stranger, 'FAILED')
  cluster.send('information', { jobs: [{ system_job_id: 'ffffffffffffffffffffffff', status: 'RUNNING' }] })
  cluster.send('nodes', { count: 4 })
  await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.nodes === 4)
  t.equal((await job(server)).revision, running.revision, 'nothing was written')
  report(cluster, 'DEAD')
  await untilStatus(server, 'DEAD')
  report(cluster, 'RUNNING')
  await untilStatus(server, 'RUNNING')
})

t.test('a job that does not fit shows why, and is placed when room appears', async t => {
  const server = await startServer(t, { PLACEMENT_RETRY_S: 3600 })
  const cluster = await roomyCluster(t, server, 'hpi', { cpu_cores: 0.2 })
  await deploy(server)
  const refused = await untilStatus(server, 'NoActiveClusterWithCapacity')
  t.equal(refused.status_reason, 'hpi: 0.2 cores free of 1 asked')
  t.match(refused.explanation.clusters, [{ cluster_name: 'hpi', fits: false, reason: 'hpi: 0.2 cores free of 1 asked' }])
  cluster.send('information', ROOMY)
  t.match(await cluster.take('command'), { kind: 'deploy' })
  await untilStatus(server, 'CLUSTER_SCHEDULED')
})

t.test('a job is placed when the cluster that it requests appears', async t => {
  const server = await startServer(t, { PLACEMENT_RETRY_S: 3600 })
  await deploy(server, yamlDescriptor('service1', 'cluster_location: hpi\n'))
  await untilStatus(server, 'TargetClusterNotFound')
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  // Registered but not heard yet: the job waits for its first heartbeat instead of failing (contract section 2).
  await eventually(() => job(server), seen => /no heartbeat yet/.test(seen.status_reason))
  cluster.send('information', ROOMY)
  t.match(await cluster.take('command'), { kind: 'deploy' })
})

t.test('the capacity of one cluster is not given away twice to jobs that come together', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi', { cpu_cores: 3 })
  await Promise.all(Array.from({ length: 10 }, (_, i) => deploy(server, yamlDescriptor(`s${i}`))))
  const jobs = await eventually(() => server.json('/api/v1/jobs'), ({ items }) => items.every(({ status }: { status: string }) => status !== 'REQUESTED'))
  const of = (status: string) => jobs.items.filter((item: { status: string }) => item.status === status).length
  t.equal(of('CLUSTER_SCHEDULED'), 3)
  t.equal(of('NoActiveClusterWithCapacity'), 7)
  t.equal(cluster.frames.filter(({ event }) => event === 'command').length, 3)
})

t.test('an update is deployed in place, keeps the addresses, and is not confused by reports about the old one', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  const id = await deploy(server)
  await cluster.take('command')
  cluster.send('ack', { seq: 1 })
  const report = (status: string) => cluster.send('information', { jobs: [{ system_job_id: id, status }] })
  report('RUNNING')
  const before = await untilStatus(server, 'RUNNING')
  t.equal(await deploy(server, yamlDescriptor().replace('alpine', 'latest')), id)
  t.match(await cluster.take('command'), { seq: 2, kind: 'deploy', job: { image: /latest/, system_manager: { generation: 2 } } })
  report('RUNNING')
  cluster.send('nodes', { count: 9 })
  await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.nodes === 9)
  t.equal((await job(server)).status, 'CLUSTER_SCHEDULED')
  cluster.send('ack', { seq: 2 })
  report('RUNNING')
  const after = await untilStatus(server, 'RUNNING')
  t.same(after.instance_list[0].instance_ip, before.instance_list[0].instance_ip)
  t.same(after.service_ip_list, before.service_ip_list)
})

t.test('an update to another place deletes at the old one and orphans nothing', async t => {
  const server = await startServer(t)
  const [hpi, tum] = [await roomyCluster(t, server, 'hpi'), await roomyCluster(t, server, 'tum')]
  const id = await deploy(server, yamlDescriptor('service1', 'cluster_location: hpi\n'))
  t.match(await hpi.take('command'), { kind: 'deploy' })
  const { instance_list: [{ instance_ip: address }] } = await job(server)
  await deploy(server, yamlDescriptor('service1', 'cluster_location: tum\n'))
  t.match(await hpi.take('command'), { kind: 'delete', job_id: id })
  t.match(await tum.take('command'), { kind: 'deploy', job_id: id, job: { instance_list: [{ instance_ip: address, cluster_id: tum.id }] } })
  hpi.send('ack', { seq: 2 })
  await eventually(() => job(server), seen => seen.retiring.length === 0)
})

t.test('fewer replicas give their addresses back once the cluster has confirmed, more get new ones', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  await deploy(server, yamlDescriptor('service1', 'replicas: 4\n'))
  t.equal((await cluster.take('command')).job.instance_list.length, 4)
  const before = await job(server)
  await deploy(server, yamlDescriptor('service1', 'replicas: 2\n'))
  t.match(await cluster.take('command'), { seq: 2, kind: 'replicate', replicas: 2 })
  const address = before.instance_list[3].instance_ip.replaceAll('.', '_')
  t.equal((await server.json(`/api/job/ip/${address}/instances`)).job_name, NAME, 'still leased')
  cluster.send('ack', { seq: 2 })
  await eventually(() => server.json(`/api/job/ip/${address}/instances`), ({ job_name }) => job_name === '')
  await deploy(server, yamlDescriptor('service1', 'replicas: 3\n'))
  t.match(await cluster.take('command'), { seq: 3, kind: 'replicate', replicas: 3 })
  const after = await job(server)
  t.same(after.instance_list.map(({ instance_number }: { instance_number: number }) => instance_number), [0, 1, 2])
  t.notOk(before.instance_list.some(({ instance_ip }: { instance_ip: string }) => instance_ip === after.instance_list[2].instance_ip), 'a fresh address')
})

t.test('a cluster that refuses for lack of room loses the instance to the next one', async t => {
  const server = await startServer(t)
  const hpi = await roomyCluster(t, server, 'hpi', { cpu_cores: 100 })
  const id = await deploy(server)
  t.match(await hpi.take('command'), { kind: 'deploy' })
  const tum = await roomyCluster(t, server, 'tum')
  hpi.send('nack', { seq: 1, error: 'NO_WORKER_CAPACITY' })
  t.match(await tum.take('command'), { kind: 'deploy', job_id: id })
  const { items } = await server.json(`/api/v1/jobs/${id}/events`)
  t.ok(items.some(({ message }: { message: string }) => message === 'deploy was refused: NO_WORKER_CAPACITY'))
})

t.test('a cluster that refuses for another reason leaves the job FAILED, with the reason', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  await deploy(server)
  await cluster.take('command')
  cluster.send('nack', { seq: 1, error: 'no such image' })
  t.match(await untilStatus(server, 'FAILED'), { status_reason: 'the cluster refused: no such image' })
})

t.test('a cluster is not deleted under a job unless forced, and then the job is placed elsewhere', async t => {
  const server = await startServer(t)
  const hpi = await roomyCluster(t, server, 'hpi', { cpu_cores: 100 })
  await deploy(server)
  await hpi.take('command')
  const tum = await roomyCluster(t, server, 'tum')
  const refused = await server.fetch(`/api/v1/clusters/${hpi.id}`, { method: 'DELETE' })
  t.equal(refused.status, 409)
  t.match(await refused.json(), { code: 'cluster_in_use', hint: /force/ })
  t.equal((await server.fetch(`/api/v1/clusters/${hpi.id}?force=true`, { method: 'DELETE' })).status, 204)
  t.match(await tum.take('command'), { kind: 'deploy' })
})

t.test('results over HTTP are matched by instance number; an unknown job is 404, a bad body 400', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi')
  const id = await deploy(server, yamlDescriptor('service1', 'replicas: 2\n'))
  await cluster.take('command')
  const post = (body: unknown) => server.fetch('/api/result/cluster_deploy', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const answer = await post({ job_id: id, instances: [{ instance_number: 1, namespace_ip: '10.18.0.3', host_ip: '192.168.1.9', host_port: '50104' }] })
  t.equal(answer.status, 200)
  t.equal(await answer.text(), 'roger that')
  t.match(await job(server), { instance_list: [{ namespace_ip: '', status: 'CLUSTER_SCHEDULED' }, { namespace_ip: '10.18.0.3', host_port: '50104', status: 'DEPLOYED' }] })
  t.equal((await post({ job_id: 'ffffffffffffffffffffffff', instances: [] })).status, 404)
  t.equal((await post({ job_id: id, instances: [{ instance_number: -1 }] })).status, 400)
  t.equal((await post({ job_id: id })).status, 400)
})

t.test('a heartbeat that changes nothing writes no job, and one about 100 jobs reports all of them', async t => {
  const server = await startServer(t)
  const cluster = await roomyCluster(t, server, 'hpi', { cpu_cores: 1000, cumulative_memory_in_mb: 1e6 })
  const ids = await Promise.all(Array.from({ length: 100 }, (_, i) => deploy(server, yamlDescriptor(`s${i}`))))
  await eventually(async () => cluster.frames.filter(({ event }) => event === 'command').length, count => count === 64)
  cluster.send('ack', { seq: 64 })
  await eventually(async () => cluster.frames.filter(({ event }) => event === 'command').length, count => count === 100)
  const heartbeat = { jobs: ids.map(system_job_id => ({ system_job_id, status: 'RUNNING' })) }
  const post = () => server.fetch(`/api/information/${cluster.id}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(heartbeat) })
  await post()
  const revisions = async () => (await server.json('/api/v1/jobs?status=RUNNING')).items.map(({ revision }: { revision: number }) => revision)
  const before = await revisions()
  t.equal(before.length, 100)
  await post()
  t.same(await revisions(), before)
})
