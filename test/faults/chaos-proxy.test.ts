import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ClusterView } from '../../schemas/cluster.js'
import { portOf } from '../multi-manager/world.js'
import { startDatabase } from '../support/database.js'
import { logged, startServerProcess } from '../support/server-process.js'
import { eventually, patience } from '../support/waiting.js'
import { disturbancesOf, randomOf, startChaosProxy, type ChaosProxy } from './chaos-proxy.js'
import { lengthOf, tell } from './length.js'
import { impatient } from './standing-server.js'
import { CLUSTERS, startWork, type Work } from './work.js'

/** Seconds after which a silent cluster is lost, and milliseconds that a disturbance lasts at most. */
const AWAY_S = patience(4)
const LONGEST_MS = 800
/** Seconds between two examinations, and between two clusters that are away for too long. */
const EXAMINED_S = 2
const LOST_S = 30

async function examined (work: Work): Promise<string[]> {
  const wrong = await work.examine()
  if (wrong.length === 0) await work.go()
  return wrong
}

function sum (proxies: ChaosProxy[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const proxy of proxies) {
    for (const [kind, count] of Object.entries(proxy.counts)) counts[kind] = (counts[kind] ?? 0) + count
  }
  return counts
}

t.test(
  'however bad the network of the clusters is, nothing is lost, and who is not silent for long keeps all',
  async t => {
    const length = lengthOf(t, 6)
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'chaos-'))
    t.teardown(() => rm(DATA_DIR, { recursive: true, force: true }))
    const server = await startServerProcess(t, { ...impatient(AWAY_S), DATA_DIR })
    const proxies = new Map<string, ChaosProxy>()
    for (const [index, name] of CLUSTERS.entries()) {
      proxies.set(name, await startChaosProxy(t, () => portOf(server), randomOf(length.seed + index)))
    }
    const work = await startWork(t, {
      url: () => server.url,
      clusterUrl: name => `http://127.0.0.1:${proxies.get(name)!.port}`,
      seed: length.seed
    })
    const random = randomOf(length.seed)
    const figures = { excused: 0, lost: 0, 'longest silence of one that was not lost, ms': 0 }

    const state = { isOver: false }
    t.teardown(() => {
      state.isOver = true
    })
    const troubles = CLUSTERS.map(async (name, index) => {
      const proxy = proxies.get(name)!
      for (const disturbance of disturbancesOf(length.seed + index, LONGEST_MS)) {
        if (state.isOver) return
        await proxy.disturb(disturbance)
        await sleep(disturbance.calmMs)
      }
    })

    /** One is away for so long that all it runs is started elsewhere, and has lost its memory when it is back. */
    async function lose (name: string): Promise<void> {
      const { id } = work.fleet.get(name)
      work.fleet.excuse(name)
      const comeBack = await work.fleet.kill(name)
      const view = async () => (await (await fetch(`${server.url}/api/v1/clusters/${id}`)).json()) as ClusterView
      await eventually(view, ({ lost_at: lostAt }) => lostAt !== null, 2000 * AWAY_S)
      // Some of what it ran is running elsewhere by now, some is on its way there.
      await sleep(random() * 1000)
      comeBack({ forgetful: true })
      figures.lost++
      await work.settle()
      proxies.get(name)!.silence()
      work.fleet.watchAnew()
      await work.go()
    }

    // One that is lost again and again rightly gets nothing new for a growing time.
    const losable = [...CLUSTERS]
    let lostAt = -Infinity
    while (!length.isOver()) {
      await sleep(EXAMINED_S * 1000)
      for (const [name, proxy] of proxies) {
        const silent = Math.round(proxy.silence())
        if (silent > AWAY_S * 800) {
          // A busy machine, perhaps: then it may have been lost.
          work.fleet.excuse(name)
          figures.excused++
        } else {
          const longest = 'longest silence of one that was not lost, ms'
          figures[longest] = Math.max(figures[longest], silent)
        }
      }
      const wrong = await examined(work)
      t.same(wrong, [], JSON.stringify(sum([...proxies.values()])))
      if (wrong.length > 0) break
      if (performance.now() - lostAt > LOST_S * 1000) {
        const [name] = losable.splice(Math.floor(random() * losable.length), 1)
        if (name !== undefined) await lose(name)
        lostAt = performance.now()
      }
    }
    state.isOver = true
    await Promise.all(troubles)
    const done = await work.finish(t)
    t.equal(figures.excused, 0, 'nobody was silent for longer than a disturbance lasts')
    t.equal(await server.end('SIGTERM'), 0)
    tell(t, { ...sum([...proxies.values()]), ...done, ...figures })
  }
)

t.test('however bad the way to the database is, nothing acknowledged is lost, and nothing moves', async t => {
  const length = lengthOf(t, 5)
  const uri = await startDatabase(t)
  const random = randomOf(length.seed)
  const { port } = new URL(uri)
  const proxy = await startChaosProxy(t, () => Number(port), random)
  const through = new URL(uri)
  through.port = String(proxy.port)
  const server = await startServerProcess(t, {
    ...impatient(AWAY_S),
    PLACEMENT_RETRY_S: '1',
    MONGO_URI: `${through.href.replace(/\/$/, '')}/?directConnection=true`
  })
  const work = await startWork(t, { url: () => server.url, seed: length.seed })

  const state = { isOver: false, isCalm: false }
  t.teardown(() => {
    state.isOver = true
  })
  let slowest = 0
  const trouble = (async () => {
    for (const disturbance of disturbancesOf(length.seed, 2 * LONGEST_MS)) {
      if (state.isOver) return
      if (!state.isCalm) await proxy.disturb(disturbance)
      await sleep(disturbance.calmMs)
    }
  })()
  while (!length.isOver() || Object.keys(proxy.counts).length < 3) {
    await sleep(EXAMINED_S * 1000)
    // It need not answer in the midst of it, but has to once it is over.
    state.isCalm = true
    const beganAt = performance.now()
    const wrong = await examined(work)
    slowest = Math.max(slowest, Math.round(performance.now() - beganAt))
    state.isCalm = false
    t.same(wrong, [], JSON.stringify(proxy.counts))
    if (wrong.length > 0) {
      for (const line of logged(server)
        .filter(({ level }) => level >= 50)
        .slice(-5)) { t.comment(JSON.stringify(line)) }
      break
    }
  }
  state.isOver = true
  await trouble
  const done = await work.finish(t)
  t.equal(await server.end('SIGTERM'), 0)
  tell(t, { ...proxy.counts, ...done, 'longest until it answers again, and an examination, ms': slowest })
})
