import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ClusterView } from '../../schemas/cluster.js'
import type { Job } from '../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { logged, startServerProcess } from '../support/server-process.js'
import { serverWith } from '../support/server-with.js'
import { eventually, patience } from '../support/waiting.js'

/** Sets the clock of its process: what Date shows, and nothing else, as when the clock of a machine is set. */
const SETTABLE_CLOCK = `
  export default fp(async app => {
    const Real = Date
    let shift = 0
    globalThis.Date = class extends Real {
      constructor (...given) { super(...given.length > 0 ? given : [Real.now() + shift]) }
      static now () { return Real.now() + shift }
    }
    app.get('/set-clock/:by', async ({ params }) => { shift += Number(params.by) })
  }, { name: 'one-more' })`

const HOUR_MS = 3_600_000
const GRACE_S = patience(2)

async function startWithClock (t: Test) {
  const program = serverWith(t, SETTABLE_CLOCK)
  const server = await startServerProcess(
    t,
    {
      DATA_DIR: join(t.testdirName, 'data'),
      LOG_LEVEL: 'info',
      CLUSTER_GRACE_S: String(GRACE_S),
      FAILOVER_AFTER_S: String(GRACE_S),
      DEADLINE_SCHEDULED_S: '600',
      DEADLINE_STOPPED_S: '30',
      PLACEMENT_RETRY_S: '0.3',
      PING_INTERVAL_S: '0.5'
    },
    program
  )
  const json = async <T>(path: string) => (await (await fetch(server.url + path)).json()) as T
  const clusterView = (id: string) => json<ClusterView>(`/api/v1/clusters/${id}`)
  const open = async (name: string) => {
    const cluster = await connectCluster(t, server.url, { cluster_name: name })
    cluster.send('information', ROOMY)
    await eventually(
      () => clusterView(cluster.id),
      seen => seen.last_heartbeat_at !== null
    )
    return cluster
  }
  const setClock = async (ms: number) => {
    t.equal((await fetch(`${server.url}/set-clock/${ms}`)).status, 200)
  }
  return { server, json, clusterView, open, setClock }
}

t.test('a clock set forward loses no cluster, and expires no deadline of before', async t => {
  const { server, json, clusterView, open, setClock } = await startWithClock(t)
  const hpi = await open('hpi')
  const { job_id: id } = (await (await fetch(`${server.url}/api/deploy`, asYaml(yamlDescriptor()))).json()) as {
    job_id: string
  }
  const { seq } = await hpi.take('command')
  hpi.send('ack', { seq })
  const job = () => json<Job>(`/api/v1/jobs/${id}`)
  t.match(await job(), { status: 'CLUSTER_SCHEDULED' })
  await setClock(HOUR_MS)
  await sleep(1000 * GRACE_S + 2000)
  t.match(await clusterView(hpi.id), { active: true, lost_at: null }, 'its channel is open')
  t.match(await job(), { status: 'CLUSTER_SCHEDULED', instance_list: [{ cluster_id: hpi.id, attempts: 0 }] })
  t.equal(logged(server).filter(({ msg }) => /set forward by 3600 s/.test(msg)).length, 1)
  hpi.send('information', ROOMY)
  const seen = await eventually(
    () => clusterView(hpi.id),
    ({ last_heartbeat_at: at }) => Date.parse(at ?? '') > Date.now() + HOUR_MS / 2
  )
  t.ok(seen.last_modified_timestamp * 1000 > Date.now() + HOUR_MS / 2, 'what is stored is the time of the wall clock')
})

t.test('a clock set back keeps no dead cluster active', async t => {
  const { server, json, clusterView, open, setClock } = await startWithClock(t)
  const [hpi, tum] = [await open('hpi'), await open('tum')]
  await setClock(-HOUR_MS)
  hpi.close()
  await eventually(
    () => clusterView(hpi.id),
    ({ active, lost_at: lostAt }) => !active && lostAt !== null,
    1000 * GRACE_S * 5
  )
  t.match(await clusterView(tum.id), { active: true })
  t.equal(await json<number>('/api/clusters/count'), 1)
  t.ok(logged(server).some(({ msg }) => /set back by 3600 s/.test(msg)))
})
