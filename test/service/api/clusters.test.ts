import t from 'tap'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

const UNKNOWN = 'ffffffffffffffffffffffff'

async function post (server: TestServer, path: string, body: unknown): Promise<Response> {
  return await server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

t.test('a cluster that registers again by its name keeps its id', async t => {
  const server = await startServer(t)
  const first = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'hpi' })
  t.match(first.id, /^[0-9a-f]{24}$/)
  const again = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'Potsdam' })
  t.equal(again.id, first.id)
  t.match(await server.json('/api/clusters'), [{ _id: { $oid: first.id }, cluster_name: 'hpi', cluster_location: 'Potsdam', ip: '127.0.0.1', port: 10100 }])
  const other = await connectCluster(t, server.url, { cluster_name: 'tum', cluster_location: null, advertise_address: '10.1.2.3' })
  t.not(other.id, first.id)
  t.match(await server.json(`/api/v1/clusters/${other.id}`), { ip: '10.1.2.3', cluster_location: null, active: true, connected: true })
})

t.test('a heartbeat over HTTP sets the figures; what is missing or null stays as it was', async t => {
  const server = await startServer(t)
  const { id } = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const answer = await post(server, `/api/information/${id}`, ROOMY)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  t.equal(await answer.text(), 'ok')
  t.equal((await post(server, `/api/information/${id}`, { cpu_percent: 55, cpu_cores: null })).status, 200)
  t.equal((await post(server, `/api/information/${id}`, {})).status, 200)
  const [document] = await server.json('/api/clusters_all')
  t.match(document, {
    aggregated_cpu_percent: 55,
    total_cpu_cores: 16,
    aggregated_memory_percent: 20,
    memory_in_mb: 32000,
    active_nodes: 3,
    technology: ['docker'],
    last_modified: { $date: /Z$/ }
  })
  t.ok(Math.abs(document.last_modified_timestamp - Date.now() / 1000) < 5)
})

t.test('a heartbeat of an unknown cluster is refused and leaves no ghost', async t => {
  const server = await startServer(t)
  t.equal((await post(server, `/api/information/${UNKNOWN}`, ROOMY)).status, 404)
  t.equal((await post(server, '/api/information/xyz', ROOMY)).status, 400)
  t.same(await server.json('/api/clusters_all'), [])
})

t.test('figures that cannot be are refused with the field', async t => {
  const server = await startServer(t)
  const { id } = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  await post(server, `/api/information/${id}`, ROOMY)
  const refused: Array<[unknown, RegExp]> = [
    [{ cpu_cores: -1 }, /cpu_cores/],
    [{ cpu_cores: '4' }, /cpu_cores/],
    [{ cumulative_memory_in_mb: 1e300 }, /cumulative_memory_in_mb/],
    [{ number_of_nodes: 1.5 }, /number_of_nodes/],
    [{ technology: 'docker' }, /technology/],
    [{ jobs: 'none' }, /jobs/],
    ['{"cpu_cores": NaN}', /json_invalid/],
    ['{"cpu_cores": 1e999}', /cpu_cores/],
    ['[]', /./],
    ['', /bad_request: The body is not valid/],
    ['{', /json_invalid/]
  ]
  for (const [body, message] of refused) {
    const answer = await post(server, `/api/information/${id}`, body)
    t.equal(answer.status, 400, JSON.stringify(body))
    t.match(await answer.text(), message)
  }
  t.match((await server.json('/api/clusters_all'))[0], { total_cpu_cores: 16, memory_in_mb: 32000, active_nodes: 3 })
})

t.test('a bad job entry is shown as a warning, and the heartbeat counts', async t => {
  const server = await startServer(t)
  const { id } = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const jobs = [{ system_job_id: 7, status: 'RUNNING' }, { system_job_id: UNKNOWN, status: 'SLEEPING' }, null, { system_job_id: UNKNOWN, status: 'RUNNING' }]
  t.equal((await post(server, `/api/information/${id}`, { ...ROOMY, cpu_cores: 3, jobs })).status, 200)
  const cluster = await server.json(`/api/v1/clusters/${id}`)
  t.equal(cluster.total_cpu_cores, 3)
  t.match(cluster.warnings, [/^jobs\[0\]\.system_job_id: .*got the number 7/, /^jobs\[1\]\.status: .*got the string "SLEEPING"/, /^jobs\[2\]: .*got nothing/])
  t.equal(cluster.warnings.length, 3)
  await post(server, `/api/information/${id}`, ROOMY)
  t.same((await server.json(`/api/v1/clusters/${id}`)).warnings, [], 'a clean heartbeat clears them')
})

t.test('workers are counted up, down to zero, and set', async t => {
  const server = await startServer(t)
  const { id } = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const nodes = async () => (await server.json(`/api/v1/clusters/${id}`)).nodes
  t.equal(await nodes(), 0)
  t.equal(await server.text(`/api/cluster/${id}/incr_node`), 'ok')
  await server.text(`/api/cluster/${id}/incr_node`)
  t.equal(await nodes(), 2)
  for (let i = 0; i < 3; i++) t.equal(await server.text(`/api/cluster/${id}/decr_node`), 'ok')
  t.equal(await nodes(), 0)
  t.equal(await server.text(`/api/cluster/${id}/nodes/5`), 'ok')
  t.equal(await nodes(), 5)
  await Promise.all(Array.from({ length: 40 }, () => server.text(`/api/cluster/${id}/incr_node`)))
  t.equal(await nodes(), 45)
  for (const bad of ['-1', 'NaN', '1.5', 'many', '1e99', '']) t.equal((await server.fetch(`/api/cluster/${id}/nodes/${bad}`)).status, 400, bad)
  t.equal(await nodes(), 45)
  t.equal((await server.fetch(`/api/cluster/${UNKNOWN}/incr_node`)).status, 404)
  t.equal((await server.fetch('/api/cluster/xyz/nodes/1')).status, 400)
})

t.test('a silent cluster turns inactive after the grace time and comes back with its next heartbeat', async t => {
  const server = await startServer(t, { CLUSTER_GRACE_S: 1 })
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  t.equal(await server.json('/api/clusters/count'), 1)
  await eventually(() => server.json('/api/clusters/count'), count => count === 0)
  t.same(await server.json('/api/clusters'), [])
  t.match(await server.json('/api/clusters_all'), [{ cluster_name: 'hpi' }])
  t.match(await server.json(`/api/v1/clusters/${cluster.id}`), { active: false })
  cluster.send('information', ROOMY)
  await eventually(() => server.json('/api/clusters/count'), count => count === 1)
})

t.test('pongs keep a cluster active', async t => {
  const server = await startServer(t, { CLUSTER_GRACE_S: 1, PING_INTERVAL_S: 0.2 })
  await connectCluster(t, server.url, { cluster_name: 'hpi' })
  await new Promise(resolve => setTimeout(resolve, 1500))
  t.equal(await server.json('/api/clusters/count'), 1)
})

t.test('clusters are listed in pages and found active', async t => {
  const server = await startServer(t)
  for (const cluster_name of ['a', 'b', 'c']) await connectCluster(t, server.url, { cluster_name })
  const first = await server.json('/api/v1/clusters?limit=2')
  t.match(first.items, [{ cluster_name: 'a' }, { cluster_name: 'b' }])
  t.match(await server.json(`/api/v1/clusters?limit=2&after=${first.next}`), { items: [{ cluster_name: 'c' }], next: null })
  t.equal((await server.json('/api/v1/clusters?active=true')).items.length, 3)
})

t.test('a deleted cluster is gone, its channel closed, and may come back as a new one', async t => {
  const server = await startServer(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  t.equal((await server.fetch(`/api/v1/clusters/${cluster.id}`, { method: 'DELETE' })).status, 204)
  t.equal(await cluster.closed, 4004)
  t.equal((await server.fetch(`/api/v1/clusters/${cluster.id}`)).status, 404)
  t.not((await connectCluster(t, server.url, { cluster_name: 'hpi' })).id, cluster.id)
})
