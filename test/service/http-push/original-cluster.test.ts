import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import type { Job } from '../../../schemas/job.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { startServerProcess } from '../../support/server-process.js'
import { aWhile, until } from '../channel/channel-server.js'
import { aCommand, aJob, saved, undeployed } from '../stores/samples.js'
import { BROKEN, HANGING, startOriginalCluster, type OriginalCluster } from './original-cluster.js'

/** Contract section 10, with a cluster manager that does what the original was seen to do. */

const NAME = 'demo.default.web.test'

/** Deadlines that pass within a test; drift is looked for at each heartbeat. */
const QUICK = {
  RECONCILE_S: 0.05,
  REDEPLOY_AFTER_S: 0.5,
  PLACEMENT_RETRY_S: 0.1,
  DEADLINE_SCHEDULED_S: 2,
  DEADLINE_STARTING_S: 1.5,
  DEADLINE_STOPPED_S: 1
}

const web = (image = 'nginx:1', more = '') =>
  yamlDescriptor('web', more).replace('docker.io/library/nginx:alpine', image)

async function deploy (server: TestServer, text: string): Promise<{ code: number; id: string }> {
  const answer = await server.fetch('/api/v1/jobs', asYaml(text))
  return { code: answer.status, id: ((await answer.json()) as { id: string }).id }
}

const statusOf = async (server: TestServer) => (await server.text(`/api/job/status/${NAME}`)).trim()

const reached = (server: TestServer, status: string) =>
  until(async () => (await statusOf(server)) === status, `${status} of ${NAME}`)

const runs = (cluster: OriginalCluster, image: string) =>
  until(async () => cluster.containers.get(NAME)?.image === image, `a container of ${image}`)

const paths = ({ calls }: OriginalCluster) => calls.map(({ path }) => path)

async function start (t: Test, settings = {}): Promise<{ server: TestServer; cluster: OriginalCluster }> {
  const server = await startServer(t, { ...QUICK, ...settings })
  return { server, cluster: await startOriginalCluster(t, server) }
}

t.test('DEPLOYED is up: no deadline takes it away, and the host port is a number wherever it is read', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  await aWhile(4000)
  t.equal(await statusOf(server), 'DEPLOYED')
  t.same(paths(cluster), ['/api/deploy'])
  const [document] = await server.json('/api/jobs')
  t.equal(document.instance_list[0].host_port, 50103)
  t.equal((await server.json(`/api/job/${NAME}/instances`)).instance_list[0].host_port, 50103)
  t.match(await server.json(`/api/v1/jobs/${id}`), {
    instance_list: [{ host_port: 50103, original: true, told: 'DEPLOYED' }]
  })
  const [shown] = await server.json('/api/clusters')
  t.type(shown.port, 'string')
  t.type((await server.json(`/api/v1/clusters/${cluster.id}`)).port, 'number')
  t.equal((await server.json(`/api/v1/clusters/${cluster.id}`)).registered_over, 'socket.io')
})

t.test(
  'deploy, delete and deploy again: one id, its history kept, and the new container is not removed for the old word',
  async t => {
    const { server, cluster } = await start(t)
    const first = await deploy(server, web())
    t.equal(first.code, 201)
    await reached(server, 'DEPLOYED')
    await server.fetch(`/api/delete/${NAME}`)
    await reached(server, 'UNDEPLOYED')
    await aWhile(800)
    t.same(await deploy(server, web()), { code: 201, id: first.id })
    await reached(server, 'DEPLOYED')
    await aWhile(2500)
    t.equal(await statusOf(server), 'DEPLOYED')
    t.same(paths(cluster), ['/api/deploy', `/api/delete/${first.id}`, '/api/deploy'])
    t.ok(cluster.containers.has(NAME))
    t.notOk(cluster.isDeaf())
    const { items } = await server.json(`/api/v1/jobs/${first.id}/events`)
    const told = items.map(({ type }: { type: string }) => type)
    t.ok(['deployed', 'undeployed'].every(type => told.includes(type)))
    t.equal(told.filter((type: string) => type === 'deployed').length, 2)
    t.equal((await server.json('/api/jobs')).length, 1)
    t.equal((await server.json(`/api/v1/jobs?job_name=${NAME}`)).items.length, 1)
    t.same((await server.json(`/api/v1/clusters/${cluster.id}`)).unknown_jobs, [])
  }
)

t.test('a deploy while the removal is under way waits for it and for the pause after it', async t => {
  const { server, cluster } = await start(t)
  const first = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  cluster.failDeletes('sqlite3.OperationalError: database is locked\n')
  await server.fetch(`/api/delete/${NAME}`)
  await until(async () => /database is locked/.test((await server.json(`/api/v1/jobs/${first.id}`)).status_reason))
  t.same(await deploy(server, web('nginx:2')), { code: 201, id: first.id })
  t.match(await server.json(`/api/v1/jobs/${first.id}`), {
    desired_state: 'running',
    retiring: [{ cluster_id: cluster.id }]
  })
  cluster.failDeletes(undefined)
  await runs(cluster, 'nginx:2')
  await reached(server, 'DEPLOYED')
  const [deleted, again] = [cluster.calls.findLast(({ method }) => method === 'GET')!, cluster.calls.at(-1)!]
  t.equal(again.path, '/api/deploy')
  t.ok(again.at - deleted.at >= 490, `after ${Math.round(again.at - deleted.at)} ms`)
  t.notOk(cluster.isDeaf())
})

t.test(
  'what it says of a job that it removed is no word about the next start: a start of which nothing is heard fails',
  async t => {
    const { server, cluster } = await start(t, { MAX_START_ATTEMPTS: 1 })
    const { id } = await deploy(server, web())
    await reached(server, 'DEPLOYED')
    await server.fetch(`/api/delete/${NAME}`)
    await reached(server, 'UNDEPLOYED')
    await deploy(server, web(HANGING))
    await until(async () => cluster.calls.filter(({ path }) => path === '/api/deploy').length === 2)
    await aWhile(700)
    t.equal(await statusOf(server), 'CLUSTER_SCHEDULED', 'it says DEPLOYED all the time')
    await reached(server, 'FAILED')
    t.match(await server.json(`/api/v1/jobs/${id}`), { instance_list: [{ given_up: true }] })
  }
)

t.test('a word that differs from the one before counts', async t => {
  const { server } = await start(t, { DEADLINE_STOPPED_S: 60 })
  await deploy(server, web())
  await reached(server, 'DEPLOYED')
  await server.fetch(`/api/delete/${NAME}`)
  await reached(server, 'UNDEPLOYED')
  await deploy(server, web(BROKEN))
  await reached(server, 'FAILED')
})

t.test('it gets one instance of a job, and every body has one entry', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web('nginx:1', 'replicas: 2\n'))
  await until(async () => cluster.containers.has(NAME))
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).status === 'NoActiveClusterWithCapacity')
  const job = await server.json(`/api/v1/jobs/${id}`)
  t.match(job.instance_list, [{ cluster_id: cluster.id }, { cluster_id: '' }])
  t.match(
    job.status_reason,
    /hpi has an instance of it already, and takes no second one|hpi: has an instance of it already/
  )
  const other = await startOriginalCluster(t, server, { cluster_name: 'tum' })
  await reached(server, 'DEPLOYED')
  t.match(
    (await server.json(`/api/v1/jobs/${id}`)).instance_list.map((entry: { cluster_id: string }) => entry.cluster_id),
    [cluster.id, other.id]
  )
  await server.fetch('/api/replicate', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ job_id: id, replicas: 1 })
  })
  await until(async () => !other.containers.has(NAME))
  await aWhile(500)
  for (const { calls, isDeaf } of [cluster, other]) {
    t.notOk(isDeaf())
    t.notOk(calls.some(({ path }) => path.includes('replicate')))
    for (const { path, body } of calls) if (path === '/api/deploy') t.equal(JSON.parse(body).instance_list.length, 1)
  }
})

t.test('a move completes, and leaves the containers of others alone', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  const other = await startOriginalCluster(t, server, { cluster_name: 'tum' })
  const move = (from: string, to: string) =>
    server.fetch('/api/clusters/move', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ job_id: id, from_location: from, to_location: to })
    })
  await move('hpi', 'tum')
  await runs(other, 'nginx:1')
  await until(async () => !cluster.containers.has(NAME), 'the source to go')
  await reached(server, 'DEPLOYED')
  await move('tum', 'hpi')
  await runs(cluster, 'nginx:1')
  await until(async () => !other.containers.has(NAME), 'the source to go')
  await reached(server, 'DEPLOYED')
  await aWhile(1500)
  t.ok(cluster.containers.has(NAME))
  t.match((await server.json(`/api/v1/jobs/${id}`)).instance_list, [
    { cluster_id: cluster.id, move: null, status: 'DEPLOYED' }
  ])
  t.notOk(cluster.isDeaf() || other.isDeaf())
})

t.test('an update is a delete, a pause and a deploy', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  t.same(await deploy(server, web('nginx:2')), { code: 200, id })
  await runs(cluster, 'nginx:2')
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).rollout === null, 'the end of the update')
  t.equal(await statusOf(server), 'DEPLOYED')
  t.same(paths(cluster), ['/api/deploy', `/api/delete/${id}`, '/api/deploy'])
  t.ok(cluster.calls[2]!.at - cluster.calls[1]!.at >= 490)
  t.match(JSON.parse(cluster.calls[2]!.body).instance_list, [{ host_ip: '', host_port: '', namespace_ip: '' }])
  await deploy(server, web(BROKEN))
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).generation === 4, 'the rollback')
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).rollout === null, 'its end')
  t.equal(cluster.containers.get(NAME)?.image, 'nginx:2')
  t.notOk(cluster.isDeaf())
})

t.test('one that lost its database gets the job once more, with one entry', async t => {
  const { server, cluster } = await start(t, { DEADLINE_STOPPED_S: 60 })
  await deploy(server, web())
  await reached(server, 'DEPLOYED')
  cluster.forget()
  await until(async () => cluster.calls.filter(({ path }) => path === '/api/deploy').length > 1)
  await reached(server, 'FAILED')
  t.equal(JSON.parse(cluster.calls.at(-1)!.body).instance_list.length, 1)
  t.notOk(cluster.isDeaf(), 'its container is still there, so that the same name fails')
  t.ok(cluster.containers.has(NAME))
})

t.test('a job that it never placed can be deleted, though it fails each time', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web('nginx:1', 'node: no-such-worker\n'))
  await until(async () => paths(cluster).includes('/api/deploy'))
  await aWhile(500)
  await server.fetch(`/api/delete/${id}`)
  await reached(server, 'UNDEPLOYED')
  await aWhile(1500)
  t.same(paths(cluster), ['/api/deploy', `/api/delete/${id}`])
})

t.test('any other delete that fails is tried again, and says why in its last line', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  cluster.failDeletes(
    'Traceback (most recent call last):\n  File "app.py", line 9\npymongo.errors.AutoReconnect: connection closed\n'
  )
  await server.fetch(`/api/delete/${id}`)
  await until(async () =>
    /failed: HTTP 500: pymongo.errors.AutoReconnect: connection closed$/.test(
      (await server.json(`/api/v1/jobs/${id}`)).status_reason
    )
  )
  await until(async () => paths(cluster).filter(path => path.startsWith('/api/delete')).length > 5)
  cluster.failDeletes(undefined)
  await reached(server, 'UNDEPLOYED')
  await until(async () => !cluster.containers.has(NAME))
})

t.test('what it reports and was not asked to run is not removed: it may be what has that name now', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web('nginx:1', 'cluster_location: hpi\n'))
  await reached(server, 'DEPLOYED')
  const other = await startOriginalCluster(t, server, { cluster_name: 'tum' })
  // As one that another System Manager has told of it.
  other.know(id, NAME, 'DEPLOYED')
  await until(async () => (await server.json(`/api/v1/clusters/${other.id}`)).unknown_jobs.length === 1)
  await aWhile(1500)
  t.same(paths(other), [])
  t.same(paths(cluster), ['/api/deploy'])
})

t.test('a delete of an earlier job of the same name does not reach the cluster that runs the newer one', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  // Left by a version that gave each deploy of a name an id of its own.
  const retiring = [
    {
      command_id: 'old',
      cluster_id: cluster.id,
      instances: [],
      error: null,
      since: new Date().toISOString(),
      released: false,
      original: false,
      told: 'DEPLOYED' as const
    }
  ]
  const older = undeployed(aJob({ job_name: NAME }), { status: 'DEPLOYED', retiring })
  await saved(server.store, older, { commands: [aCommand(older, cluster.id, 'delete', { command_id: 'old' })] })
  await until(async () => (await server.json(`/api/v1/jobs/${older.id}`)).status === 'UNDEPLOYED')
  t.same(paths(cluster), ['/api/deploy'])
  t.ok(cluster.containers.has(NAME))
  t.equal((await server.json(`/api/v1/jobs/${id}`)).status, 'DEPLOYED')
})

t.test('what was placed before it was known that the cluster is an original one has no deadline either', async t => {
  const { server, cluster } = await start(t)
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  const job = (await server.store.jobs.get(id))!
  const due = new Date(Date.now() - 1000).toISOString()
  await saved(server.store, {
    ...job,
    due_at: due,
    instance_list: [{ ...job.instance_list[0]!, original: false, status_since: due }]
  })
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).instance_list[0].original)
  await aWhile(2500)
  t.match(await server.json(`/api/v1/jobs/${id}`), { status: 'DEPLOYED', due_at: null })
  t.same(paths(cluster), ['/api/deploy'])
})

t.test('the pause after a delete outlasts a kill -9', async t => {
  const DATA_DIR = t.testdir()
  // Longer than a restart may take: what is deployed before the cluster knows where to answer is never said to be.
  const settings = { DATA_DIR, REDEPLOY_AFTER_S: '9', RECONCILE_S: '0.1', PLACEMENT_RETRY_S: '0.1', LEASE_S: '1' }
  const first = await startServerProcess(t, settings)
  const cluster = await startOriginalCluster(t, first)
  const post = (url: string, image: string) => fetch(`${url}/api/deploy`, asYaml(web(image)))
  const statusAt = async (url: string) => (await (await fetch(`${url}/api/job/status/${NAME}`)).text()).trim()
  await post(first.url, 'nginx:1')
  await until(async () => (await statusAt(first.url)) === 'DEPLOYED')
  await post(first.url, 'nginx:2')
  await until(() => cluster.calls.some(({ method }) => method === 'GET'), 'the delete')
  await until(
    async () => ((await (await fetch(`${first.url}/api/v1/jobs/${NAME}`)).json()) as Job).removals.length > 0
  )
  await first.end('SIGKILL')
  const second = await startServerProcess(t, settings)
  cluster.callAt(second.url)
  await until(() => cluster.calls.length >= 3, 'the deploy')
  const [, deleted, again] = cluster.calls
  t.equal(again!.path, '/api/deploy')
  t.ok(again!.at - deleted!.at > 8500, `after ${Math.round(again!.at - deleted!.at)} ms`)
  await runs(cluster, 'nginx:2')
  await until(async () => (await statusAt(second.url)) === 'DEPLOYED')
})

t.test('a late cluster_deploy of what was removed does not count for what is to be sent', async t => {
  const { server, cluster } = await start(t, { REDEPLOY_AFTER_S: 2, MAX_START_ATTEMPTS: 1 })
  const { id } = await deploy(server, web())
  await reached(server, 'DEPLOYED')
  await deploy(server, web(HANGING, 'rollout: {auto_rollback: false}\n'))
  await until(() => cluster.calls.length === 2, 'the delete')
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).removals.length === 1)
  const late = {
    job_id: id,
    instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '127.0.0.1', host_port: 50103 }]
  }
  await server.fetch('/api/result/cluster_deploy', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(late)
  })
  await until(() => cluster.calls.length >= 3, 'the deploy')
  await aWhile(800)
  t.equal(
    await statusOf(server),
    'CLUSTER_SCHEDULED',
    'nothing was heard of the new one, and the old word says DEPLOYED'
  )
})

t.test('a cluster that was a new agent and registers over Socket.IO is updated as an original one', async t => {
  const server = await startServer(t, QUICK)
  const agent = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'hpi' })
  agent.send('information', ROOMY)
  const { id } = await deploy(server, web())
  const { seq } = await agent.take('command')
  agent.send('ack', { seq })
  agent.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await reached(server, 'RUNNING')
  agent.close()
  await agent.closed
  const cluster = await startOriginalCluster(t, server)
  t.equal(cluster.id, agent.id)
  cluster.know(id, NAME, 'DEPLOYED')
  cluster.containers.set(NAME, { image: 'nginx:1' })
  await until(async () => (await server.json(`/api/v1/jobs/${id}`)).instance_list[0].original)
  await deploy(server, web('nginx:2'))
  await runs(cluster, 'nginx:2')
  await reached(server, 'DEPLOYED')
  t.same(paths(cluster), [`/api/delete/${id}`, '/api/deploy'])
})

t.test('jobs that were stored before clusters had a kind are noted at the start', async t => {
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'edgeio-kind-'))
  t.teardown(() => rm(DATA_DIR, { recursive: true }))
  const first = await startServer(t, { ...QUICK, DATA_DIR })
  const cluster = await startOriginalCluster(t, first)
  const { id } = await deploy(first, web())
  await reached(first, 'DEPLOYED')
  const job = (await first.store.jobs.get(id))!
  await saved(first.store, { ...job, instance_list: [{ ...job.instance_list[0]!, original: false }] })
  await first.close()
  const second = await startServer(t, { ...QUICK, DATA_DIR })
  cluster.callAt(second.url)
  await until(async () => (await second.json(`/api/v1/jobs/${id}`)).instance_list[0].original)
})
