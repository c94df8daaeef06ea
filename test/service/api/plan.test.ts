import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY, type RawCluster } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

const plan = async (server: TestServer, content: string) => (await server.fetch('/api/v1/jobs/plan', asYaml(content))).json() as Promise<any>
const deploy = (server: TestServer, content: string) => server.fetch('/api/deploy', asYaml(content))
const job = (server: TestServer, name = 'service1') => server.json(`/api/v1/jobs/demo.default.${name}.test`)

/** A cluster whose figures the server has heard. */
async function cluster (t: Parameters<typeof connectCluster>[0], server: TestServer, name: string, figures: Record<string, unknown> = {}): Promise<RawCluster> {
  const peer = await connectCluster(t, server.url, { cluster_name: name })
  peer.send('information', { ...ROOMY, ...figures })
  await eventually(() => server.json(`/api/v1/clusters/${peer.id}`), ({ technology }) => technology !== null)
  return peer
}

/** Acknowledges the next command and reports its job as RUNNING, so that the server knows. */
async function run (server: TestServer, peer: RawCluster, name = 'service1'): Promise<void> {
  const { seq, job_id: id } = await peer.take('command')
  peer.send('ack', { seq })
  peer.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await eventually(() => job(server, name), ({ status }) => status === 'RUNNING')
}

t.test('a plan of a new service shows where it would go and why nowhere else, with a summary', async t => {
  const server = await startServer(t)
  const hpi = await cluster(t, server, 'hpi')
  const tum = await cluster(t, server, 'tum', { cpu_cores: 0.2 })
  const planned = await plan(server, yamlDescriptor('service1', 'replicas: 2\n'))
  t.match(planned, {
    summary: '1 service: 1 to create; 2 instances to place',
    scheduler: 'embedded',
    services: [{
      job_name: 'demo.default.service1.test',
      job_id: null,
      outcome: 'create',
      summary: 'demo.default.service1.test would be created: placed 2 instances on hpi',
      changes: [],
      instances: { placed: [0, 1].map(n => ({ instance_number: n, cluster_id: hpi.id, cluster_name: 'hpi' })), moved: [], renewed: [], removed: [], waiting: [] }
    }]
  })
  const { clusters } = planned.services[0].explanation
  t.match(clusters.find(({ cluster_id: id }: { cluster_id: string }) => id === tum.id), { fits: false, reason: 'tum: 0.2 cores free of 1 asked' })
})

t.test('instances that would find no room are listed, with the nearest cluster', async t => {
  const server = await startServer(t)
  t.match(await plan(server, yamlDescriptor()), { services: [{ summary: 'demo.default.service1.test would be created, but 1 instance would have to wait: no cluster is registered', instances: { waiting: [0] } }] })
  await cluster(t, server, 'hpi', { cpu_cores: 1.5 })
  t.match(await plan(server, yamlDescriptor('service1', 'replicas: 2\n')), {
    summary: '1 service: 1 to create; 1 instance to place; 1 instance would have to wait',
    services: [{
      summary: 'demo.default.service1.test would be created, but 1 instance would have to wait: placed 1 of 2 instances; hpi: 0.5 cores free of 1 asked',
      instances: { placed: [{ instance_number: 0 }], waiting: [1] }
    }]
  })
  t.match(await plan(server, yamlDescriptor('service1', 'replicas: 0\n')), { services: [{ summary: 'demo.default.service1.test would be created: with no instance', explanation: null }] })
})

t.test('a plan of an update shows the fields, and what is renewed, placed, removed and moved', async t => {
  const server = await startServer(t)
  const hpi = await cluster(t, server, 'hpi')
  await deploy(server, yamlDescriptor())
  await run(server, hpi)
  const { id } = await job(server)
  const on = { cluster_id: hpi.id, cluster_name: 'hpi' }

  t.match(await plan(server, yamlDescriptor()), { summary: '1 service: 1 unchanged', services: [{ job_id: id, outcome: 'unchanged', changes: [], instances: { placed: [], renewed: [] } }] })
  t.match(await plan(server, yamlDescriptor('service1', 'replicas: 2\nenvironment: {a: 1}\n').replace('alpine', '2').replace('port: 80\n', '')), {
    services: [{
      job_id: id,
      outcome: 'update',
      summary: 'demo.default.service1.test would be updated (image, port, replicas, environment): 1 instance to place, 1 to renew in place',
      changes: [
        { path: 'image', from: 'docker.io/library/nginx:alpine', to: 'docker.io/library/nginx:2' },
        { path: 'port', from: 80 },
        { path: 'replicas', from: 1, to: 2 },
        { path: 'environment', to: { a: 1 } }
      ],
      instances: { placed: [{ instance_number: 1, ...on }], renewed: [{ instance_number: 0, ...on }] }
    }]
  })
  t.match(await plan(server, yamlDescriptor().replace('cpu: 1', 'cpu: 2')), { services: [{ changes: [{ path: 'requirements.cpu', from: 1, to: 2 }] }] })
  t.match(await plan(server, yamlDescriptor('service1', 'replicas: 0\n')), { services: [{ instances: { removed: [{ instance_number: 0, ...on }] }, explanation: null }] })

  const elsewhere = yamlDescriptor('service1', 'cluster_location: tum\n')
  t.match(await plan(server, elsewhere), { services: [{ instances: { moved: [{ instance_number: 0, from: on, to: null }], waiting: [0] }, summary: /would have to wait: no cluster named tum is registered$/ }] })
  const tum = await cluster(t, server, 'tum')
  t.match(await plan(server, elsewhere), {
    summary: '1 service: 1 to update; 1 instance to move',
    services: [{ instances: { moved: [{ instance_number: 0, from: on, to: { cluster_id: tum.id, cluster_name: 'tum' } }], placed: [], removed: [], waiting: [] } }]
  })
})

t.test('replicas and an address that are left out are no changes', async t => {
  const server = await startServer(t)
  await deploy(server, yamlDescriptor('service1', 'replicas: 3\nRR_ip: 172.30.5.5\n'))
  t.match(await plan(server, yamlDescriptor()), { services: [{ outcome: 'unchanged', changes: [], summary: /would stay as it is, but 3 instances would have to wait/ }] })
  t.match(await plan(server, yamlDescriptor('service1', 'cmd: x\n')), { services: [{ outcome: 'update', changes: [{ path: 'cmd', to: 'x' }] }] })
})

t.test('a plan of several services shares the room among them', async t => {
  const server = await startServer(t)
  await cluster(t, server, 'hpi', { cpu_cores: 1 })
  const answer = await server.fetch('/api/v1/jobs/plan', asForm(`${yamlDescriptor('a')}---\n${yamlDescriptor('b')}`))
  t.match(await answer.json(), {
    summary: '2 services: 2 to create; 1 instance to place; 1 instance would have to wait',
    services: [{ instances: { placed: [{ cluster_name: 'hpi' }] } }, { instances: { waiting: [0] }, explanation: { summary: 'hpi: 0 cores free of 1 asked' } }]
  })
})

t.test('a plan is refused as a deploy would be', async t => {
  const server = await startServer(t)
  await deploy(server, yamlDescriptor('holder', 'RR_ip: 172.30.9.9\n'))
  t.match(await plan(server, yamlDescriptor('a', 'RR_ip: 172.30.9.9\n')), { status: 409, code: 'address_taken', detail: '172.30.9.9 belongs to another job' })
  t.match(await plan(server, yamlDescriptor('a', 'replicas: -1\n')), { status: 400, code: 'descriptor_invalid' })
  t.match(await (await server.fetch('/api/v1/jobs/plan', { method: 'POST' })).json(), { code: 'descriptor_missing' })
})

t.test('a plan writes nothing: no job, no event, no address, no byte of the store', async t => {
  const dir = t.testdir()
  const server = await startServer(t, { DATA_DIR: dir })
  await deploy(server, yamlDescriptor())
  await eventually(() => job(server), ({ status }) => status === 'NoActiveClusterWithCapacity')
  const store = () => readdirSync(dir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && !entry.name.endsWith('-shm'))
    .map(({ parentPath, name }) => [name, createHash('sha256').update(readFileSync(join(parentPath, name))).digest('hex')])
  const state = async () => [await server.json('/api/v1/jobs'), await server.json('/api/v1/jobs/demo.default.service1.test/events')]

  // A leader renews its lease in the store by itself, so a quiet moment is looked for.
  let compared = false
  for (let tries = 0; tries < 20 && !compared; tries++) {
    const [before, filesBefore] = [await state(), store()]
    await plan(server, `${yamlDescriptor('service1', 'replicas: 5\n')}---\n${yamlDescriptor('new', 'RR_ip: 172.30.7.7\n')}`)
    t.same(await state(), before)
    compared = JSON.stringify(store()) === JSON.stringify(filesBefore)
  }
  t.ok(compared, 'the files of the store did not change')
  const taken = async () => (await job(server)).instance_list[0].instance_ip
  await deploy(server, yamlDescriptor('next'))
  t.equal((await job(server, 'next')).service_ip_list[0].Address.split('.').pop(), String(Number((await taken()).split('.').pop()) + 1), 'the next address is the next one')
})
