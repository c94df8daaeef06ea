import { join } from 'node:path'
import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

async function figure (server: TestServer, name: string): Promise<number | undefined> {
  const line = (await server.text('/metrics')).split('\n').find(line => line.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

t.test('the metrics come in the text format of Prometheus, with those of the process', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/metrics')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4; charset=utf-8$/)
  t.match(await answer.text(), /^nodejs_eventloop_lag_seconds \d/m)
  t.ok(await figure(server, 'process_resident_memory_bytes'))
})

t.test('requests are counted by the pattern of their route, whatever the URL', async t => {
  const server = await startServer(t)
  for (const path of ['/api/job/status/a.b.c.d', '/api/job/status/e.f.g.h?x=1', '/no/such/route', '/%']) await server.fetch(path)
  const counted = (route: string) =>
    `edgeio_http_request_duration_seconds_count{method="GET",route="${route}",status="404"}`
  await eventually(() => figure(server, counted('/api/job/status/:job')), count => count === 2)
  t.equal(await figure(server, counted('none')), 1)
  const text = await server.text('/metrics')
  t.notMatch(text, 'a.b.c.d')
  t.notMatch(text, 'no/such')
})

t.test('two servers in one process do not share their figures', async t => {
  const one = await startServer(t)
  const other = await startServer(t, { DATA_DIR: join(t.testdirName, 'other') })
  await one.text('/status')
  const name = 'edgeio_http_request_duration_seconds_count{method="GET",route="/status",status="200"}'
  t.equal(await eventually(() => figure(one, name), seen => seen !== undefined), 1)
  t.equal(await figure(other, name), undefined)
})

t.test('clusters, their channels and signs of life, and commands on their way are counted', async t => {
  const server = await startServer(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  await eventually(() => figure(server, 'edgeio_cluster_signs_total'), count => count === 2)
  await server.fetch('/api/deploy', asYaml(yamlDescriptor()))
  await cluster.take('command')
  t.equal(await figure(server, 'edgeio_cluster_channels_open'), 1)
  // These two are counted at most every few seconds.
  const other = await startServer(t)
  t.equal(await figure(other, 'edgeio_clusters_active'), 0)
  t.equal(await figure(other, 'edgeio_outbox_backlog'), 0)
  await eventually(() => figure(server, 'edgeio_outbox_backlog'), count => count === 1, 7000)
  t.equal(await figure(server, 'edgeio_clusters_active'), 1)
})
