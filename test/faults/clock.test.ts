import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { ClusterView } from '../../schemas/cluster.js'
import type { Job } from '../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster, ROOMY } from '../support/raw-cluster.js'
import { logged, startServerProcess } from '../support/server-process.js'
import { eventually, patience } from '../support/waiting.js'
import { lengthOf, tell } from './length.js'
import { serverWithClock } from './settable-clock.js'
import { impatient } from './standing-server.js'
import { CLUSTERS, startWork } from './work.js'

const HOUR_MS = 3_600_000
const GRACE_S = patience(2)

async function startWithClock (t: Test) {
  const program = serverWithClock(t)
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

/** From a second to six days, in either direction: as often small as large. */
const step = fc.record({
  logMs: fc.double({ min: Math.log(1000), max: Math.log(6 * 24 * HOUR_MS), noNaN: true }),
  isForward: fc.boolean(),
  calmMs: fc.integer({ min: 50, max: 900 })
})
/** Seconds after which a silent cluster is lost, and between two deaths of clusters. */
const AWAY_S = patience(3)
const DEATH_S = 20

t.test(
  'whatever the clock is set to, who has an open channel keeps all, and who is dead is noticed in time',
  async t => {
    const length = lengthOf(t, 4)
    const program = serverWithClock(t)
    const DATA_DIR = join(t.testdirName, 'data')
    // What is undeployed is kept however far the clock goes.
    const server = await startServerProcess(t, { ...impatient(AWAY_S), JOB_RETENTION_H: '80000', DATA_DIR }, program)
    const work = await startWork(t, { url: () => server.url, seed: length.seed })
    const figures = { steps: 0, 'furthest from the true time, h': 0, deaths: 0, 'noticed after at most, ms': 0 }
    let shift = 0

    async function setClock ({ logMs, isForward }: { logMs: number; isForward: boolean }): Promise<void> {
      const by = Math.round(Math.exp(logMs)) * (isForward ? 1 : -1)
      shift += by
      figures.steps++
      const furthest = 'furthest from the true time, h'
      figures[furthest] = Math.max(figures[furthest], Math.round(Math.abs(shift) / HOUR_MS))
      t.equal((await fetch(`${server.url}/set-clock/${by}`)).status, 200)
    }

    const clusters = async () =>
      ((await (await fetch(`${server.url}/api/v1/clusters`)).json()) as { items: ClusterView[] }).items

    /** While it is dead, the clock goes on being set. */
    async function die (name: string, steps: Array<{ logMs: number; isForward: boolean }>): Promise<void> {
      work.fleet.excuse(name)
      const comeBack = await work.fleet.kill(name)
      const diedAt = performance.now()
      const setting = (async () => {
        for (const one of steps) {
          await sleep((AWAY_S * 1000) / (steps.length + 1))
          await setClock(one)
        }
      })()
      await eventually(clusters, seen => seen.some(one => one.cluster_name === name && one.lost_at !== null), 15_000)
      const ms = Math.round(performance.now() - diedAt)
      await setting
      t.ok(ms > AWAY_S * 800, `not before it was silent for long: ${ms} ms`)
      t.ok(ms < patience(AWAY_S * 1000 + 3000), `noticed after ${ms} ms`)
      const latest = 'noticed after at most, ms'
      figures[latest] = Math.max(figures[latest], ms)
      figures.deaths++
      comeBack()
      await work.settle()
      await eventually(clusters, seen => seen.every(({ lost_at: lostAt }) => lostAt === null), 15_000)
      work.fleet.watchAnew()
      await work.go()
    }

    let diedAt = performance.now() - DEATH_S * 900
    for (const { calmMs, ...one } of fc.sample(step, { seed: length.seed, numRuns: 20_000 })) {
      if (length.isOver()) break
      await sleep(calmMs)
      await setClock(one)
      const lost = (await clusters()).filter(({ lost_at: lostAt }) => lostAt !== null).map(seen => seen.cluster_name)
      t.same(lost, [], 'nobody is lost')
      if (figures.steps % 5 === 0) {
        const wrong = await work.examine({})
        t.same(wrong, [], `after ${figures.steps} steps, ${shift} ms from the true time`)
        if (wrong.length > 0) break
        await work.go()
      }
      if (performance.now() - diedAt > DEATH_S * 1000) {
        const random = fc.sample(
          fc.record({ name: fc.constantFrom(...CLUSTERS), steps: fc.array(step, { maxLength: 3 }) }),
          {
            seed: length.seed + figures.steps,
            numRuns: 1
          }
        )
        await die(random[0]!.name, random[0]!.steps)
        diedAt = performance.now()
      }
    }
    const done = await work.finish(t)
    t.ok(figures.steps > 0)
    t.equal(await server.end('SIGTERM'), 0)
    tell(t, { ...figures, ...done })
  }
)
