import t, { type Test } from 'tap'
import { startMongoProxy, type MongoProxy } from '../support/mongo-wire/proxy.js'
import { connectCluster } from '../support/raw-cluster.js'
import { eventually } from '../support/waiting.js'
import { deploy, get, HUGE, startSeveral, type Several } from './world.js'

/** The first one, which leads and has the socket, comes to the database through a proxy. */
async function gated (t: Test): Promise<{ several: Several, proxy: MongoProxy }> {
  let proxy!: MongoProxy
  const several = await startSeveral(t, 2, {
    first: async (t, uri) => {
      proxy = await startMongoProxy(t, uri)
      return { MONGO_URI: proxy.uri }
    }
  })
  return { several, proxy }
}

for (const [moment, at] of [
  [
    'between the commit of a placement and the relay of its command into the outbox',
    { command: 'insert', collection: 'outbox' }
  ],
  ['between the relay of a command and its delivery', { command: 'update', collection: 'jobs' }]
] as const) {
  t.test(`kill -9 of the one with the socket ${moment}: the command comes by another`, async t => {
    const { several: { servers: [doomed, other] }, proxy } = await gated(t)
    const cluster = await connectCluster(t, doomed!.url, { cluster_name: 'hpi' })
    cluster.send('information', HUGE)
    const first = await deploy(other!, 'a')
    t.match(await cluster.take('command'), { seq: 1, job_id: first, kind: 'deploy' })
    cluster.send('ack', { seq: 1 })
    await eventually(() => get(other!, `/api/v1/jobs/${first}`), job => job.instance_list[0].cluster_id === cluster.id)

    // What the leader has begun when the insert is held is committed. Its next update of jobs takes the draft away.
    const second = await deploy(other!, 'b')
    await proxy.freeze({ command: 'insert', collection: 'outbox' })
    if (at.collection !== 'outbox') {
      const next = proxy.freeze(at)
      proxy.heal()
      await next
    }
    await doomed!.end('SIGKILL')
    const killedAt = performance.now()
    t.match(await get(other!, `/api/v1/jobs/${second}`), { status: 'CLUSTER_SCHEDULED' }, 'the placement is durable')
    t.equal(cluster.frames.filter(({ event }) => event === 'command').length, 1, 'its command was not delivered')

    const again = await connectCluster(t, other!.url, { cluster_name: 'hpi', last_seq: 1 })
    t.equal(again.id, cluster.id)
    const command = await eventually(async () => again.frames.find(({ event }) => event === 'command'), found => found !== undefined, 8000)
    t.match(command, { data: { seq: 2, job_id: second, kind: 'deploy' } })
    t.comment(`delivered ${Math.round(performance.now() - killedAt)} ms after the kill`)
    again.send('ack', { seq: 2 })
    again.send('information', { ...HUGE, jobs: [first, second].map(id => ({ system_job_id: id, status: 'RUNNING' })) })
    await eventually(() => get(other!, `/api/v1/jobs/${second}`), job => job.status === 'RUNNING')
    t.equal(again.frames.filter(({ event }) => event === 'command').length, 1, 'once')
  })
}
