import t from 'tap'
import { registerOverSocketIo, startClusterManager } from '../service/http-push/cluster-manager.js'
import { startMongoProxy, type MongoProxy } from '../support/mongo-wire/proxy.js'
import { connectCluster } from '../support/raw-cluster.js'
import { suspend } from '../support/suspend.js'
import { eventually } from '../support/waiting.js'
import type { ServerProcess } from '../support/server-process.js'
import { deploy, get, HUGE, portOf, post, startSeveral } from './world.js'

/** For what must not happen: longer than the sleeper needs to do what it had begun. */
const aWhile = () => new Promise(resolve => setTimeout(resolve, 4000))

let proxy!: MongoProxy
const several = await startSeveral(t, 2, {
  changeStreams: true,
  first: async (t, uri) => {
    proxy = await startMongoProxy(t, uri)
    return { MONGO_URI: proxy.uri }
  }
})
const [sleeper, other] = several.servers as [ServerProcess, ServerProcess]

t.test('a leader that was suspended past its lease changes nothing that another has decided, and its sessions and pushes end', async t => {
  const older = await connectCluster(t, sleeper.url, { cluster_name: 'hpi', cluster_location: 'hpi' })
  older.send('information', HUGE)
  const running = await deploy(other, 'a', 'cluster_location: hpi\n')
  t.match(await older.take('command'), { seq: 1, job_id: running })
  older.send('ack', { seq: 1 })
  older.send('information', { ...HUGE, jobs: [{ system_job_id: running, status: 'RUNNING' }] })
  await eventually(() => get(other, `/api/v1/jobs/${running}`), job => job.status === 'RUNNING')

  const manager = await startClusterManager(t)
  const tum = await registerOverSocketIo(portOf(other), { cluster_name: 'tum', manager_port: manager.port, cluster_location: 'tum' })
  await post(other, `/api/information/${tum}`, HUGE)
  let answer = () => {}
  manager.answer = (_call, reply) => { answer = () => reply.end('ok') }
  const pushed = await deploy(other, 'p', 'cluster_location: tum\n')
  t.equal(JSON.parse((await manager.take()).body)._id, pushed, 'a call of the sleeper, which hangs')
  manager.answer = (_call, reply) => reply.end('ok')

  // It falls asleep with the placement of this job decided, and on its way to the database.
  const placement = proxy.freeze({ command: 'update', collection: 'jobs' })
  const job = await deploy(other, 'b', 'cluster_location: hpi\n')
  await placement
  await suspend(sleeper.child.pid!)
  const stoppedAt = performance.now()

  const newer = await connectCluster(t, other.url, { cluster_name: 'hpi', cluster_location: 'hpi', last_seq: 1 })
  for (const lease of ['reconciler', 'http-push']) await eventually(() => several.holder(lease), holder => holder === other, 15_000)
  t.comment(`the other leads after ${Math.round(performance.now() - stoppedAt)} ms`)
  const placed = await eventually(async () => newer.frames.find(({ event }) => event === 'command'), command => command !== undefined)
  t.match(placed, { data: { seq: 2, job_id: job, kind: 'deploy' } })
  newer.send('ack', { seq: 2 })
  newer.send('information', { ...HUGE, jobs: [running, job].map(id => ({ system_job_id: id, status: 'RUNNING' })) })
  await eventually(() => get(other, `/api/v1/jobs/${job}`), ({ status }) => status === 'RUNNING')
  t.equal(JSON.parse((await manager.take()).body)._id, pushed, 'what hung is pushed again by the other')
  await post(other, `/api/information/${tum}`, { ...HUGE, jobs: [{ system_job_id: pushed, status: 'RUNNING' }] })
  // What the cluster said on the older session before it changed over waits to be read.
  older.send('information', { ...HUGE, jobs: [running, job].map(id => ({ system_job_id: id, status: 'FAILED' })) })

  const everything = async () => await Promise.all([running, job, pushed].map(async id => [await get(other, `/api/v1/jobs/${id}`), (await get(other, `/api/v1/jobs/${id}/events`)).items]))
  const before = await everything()
  t.ok(before[1]![0].fence > before[0]![0].fence, 'decided by the new leader')
  const calls = manager.calls.length
  // Each lease is prolonged in its own time: that of the process runs out last, perhaps.
  await eventually(() => several.lives(sleeper), lives => !lives, 15_000)
  proxy.heal()
  sleeper.child.kill('SIGCONT')
  answer()
  t.equal(await older.closed, 4001)
  t.match(await get(sleeper, `/api/v1/jobs/${job}`), { status: 'RUNNING' }, 'it serves requests again')
  await aWhile()
  t.same(await everything(), before, 'nothing has changed: no revision, no event')
  t.equal(manager.calls.length, calls, 'nothing more was pushed')
  t.equal(newer.frames.filter(({ event }) => event === 'command').length, 1)
  t.equal(older.frames.filter(({ event }) => event === 'command').length, 1)
  for (const lease of ['reconciler', 'http-push']) t.equal(await several.holder(lease), other)

  // And it goes on as one of several.
  const more = await deploy(sleeper, 'c', 'cluster_location: hpi\n')
  await eventually(async () => newer.frames.find(({ event, data }) => event === 'command' && data.job_id === more), command => command !== undefined)
})

t.test('frames of a session that are read after a newer one took over change nothing', async t => {
  const older = await connectCluster(t, sleeper.url, { cluster_name: 'dus', cluster_location: 'dus' })
  older.send('information', HUGE)
  const job = await deploy(other, 'd', 'cluster_location: dus\n')
  t.match(await older.take('command'), { seq: 1, job_id: job })
  older.send('ack', { seq: 1 })
  older.send('information', { ...HUGE, jobs: [{ system_job_id: job, status: 'RUNNING' }] })
  await eventually(() => get(other, `/api/v1/jobs/${job}`), ({ status }) => status === 'RUNNING')

  await suspend(sleeper.child.pid!)
  const newer = await connectCluster(t, other.url, { cluster_name: 'dus', cluster_location: 'dus', last_seq: 1 })
  newer.send('information', { ...HUGE, jobs: [{ system_job_id: job, status: 'RUNNING' }] })
  for (let times = 0; times < 100; times++) older.send('information', { ...HUGE, jobs: [{ system_job_id: job, status: 'FAILED' }] })
  await eventually(() => get(other, `/api/v1/clusters/${older.id}`), ({ connected }) => connected)
  // The lease by which it knows that nobody can have taken over runs out.
  await eventually(() => several.lives(sleeper), lives => !lives, 15_000)
  const before = await get(other, `/api/v1/jobs/${job}`)
  sleeper.child.kill('SIGCONT')
  t.equal(await older.closed, 4001)
  await aWhile()
  t.same(await get(other, `/api/v1/jobs/${job}`), before)
  t.equal(newer.frames.filter(({ event }) => event === 'command').length, 0)
})

t.test('a request that was repeated elsewhere while the process slept does not undo what came after it', async t => {
  const job = await deploy(other, 'e')
  const scale = (server: ServerProcess, replicas: number) =>
    fetch(`${server.url}/api/v1/jobs/${job}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ replicas })
    })
  await suspend(sleeper.child.pid!)
  const late = [
    scale(sleeper, 2),
    fetch(`${sleeper.url}/api/replicate_down/${job}/3`),
    fetch(`${sleeper.url}/api/delete/${job}`)
  ]
  t.equal((await scale(other, 4)).status, 200)
  await eventually(() => several.lives(sleeper), lives => !lives, 15_000)
  sleeper.child.kill('SIGCONT')
  for (const answer of await Promise.all(late)) {
    t.equal(answer.status, 503)
    t.match(await answer.text(), /request_expired/)
    t.match(answer.headers.get('retry-after'), /^\d+$/)
  }
  t.match(await get(other, `/api/v1/jobs/${job}`), { replicas: 4, desired_state: 'running' })
  await eventually(() => scale(sleeper, 5), ({ status }) => status === 200)
})
