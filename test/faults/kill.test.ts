import { existsSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { freePort } from '../process/start-up/free-port.js'
import { runServerProcess, startServerProcess } from '../support/server-process.js'
import { patience } from '../support/waiting.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { addressesOf, jobsOf } from './examination.js'
import { lengthOf, tell } from './length.js'
import { impatient, startStandingServer } from './standing-server.js'
import { CLUSTERS, startWork } from './work.js'

/** When the server is killed. */
const kill = fc.record({
  afterMs: fc.integer({ min: 50, max: 900 }),
  moment: fc.constantFrom('any', 'any', 'checkpoint', 'backup'),
  /** And again within its start, so many milliseconds after it began. */
  starts: fc.array(fc.integer({ min: 20, max: 900 }), { maxLength: 2 }),
  chance: fc.nat(20),
  /** What happens to clusters before: a broken connection, or a cluster manager that is killed and started again. */
  blows: fc.array(fc.record({ cluster: fc.constantFrom(...CLUSTERS), isDeadly: fc.boolean() }), { maxLength: 2 })
})

/** Bytes of the log at which a checkpoint is near, and below which it has begun. */
const NEAR = 4_000_000
const BEGUN = 1_000_000
/** Milliseconds that a moment is waited for. */
const MOMENT_MS = 3000

t.test('whenever the server is killed, what it acknowledged stands, and nothing that runs is disturbed', async t => {
  const length = lengthOf(t, 10)
  const folder = await mkdtemp(join(tmpdir(), 'kill-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const env = { ...impatient(patience(5)), MY_PORT: await freePort(), DATA_DIR: join(folder, 'data') }
  const server = await startStandingServer(t, env)
  const work = await startWork(t, { url: () => server.url, seed: length.seed })
  const figures = { kills: 0, 'in a start': 0, 'at a checkpoint': 0, 'during a backup': 0 }
  let slowest = 0

  async function atItsMoment ({ moment, chance }: { moment: string; chance: number }): Promise<void> {
    const until = performance.now() + MOMENT_MS
    const waitWhile = async (holds: () => boolean) => {
      while (holds() && performance.now() < until) await sleep(1)
      return performance.now() < until
    }
    if (moment === 'checkpoint') {
      const size = () => statSync(join(env.DATA_DIR, 'system-manager.db-wal')).size
      await waitWhile(() => size() < NEAR)
      if (await waitWhile(() => size() > BEGUN)) figures['at a checkpoint']++
    } else if (moment === 'backup') {
      const backup = join(folder, `${figures.kills}.backup`)
      runServerProcess({ DATA_DIR: env.DATA_DIR }, ['backup', backup]).catch(() => {})
      if (await waitWhile(() => !existsSync(`${backup}.partial`))) figures['during a backup']++
      await sleep(chance)
    }
  }

  for (const moment of fc.sample(kill, { seed: length.seed, numRuns: 10_000 })) {
    if (length.isOver()) break
    await sleep(moment.afterMs / 2)
    for (const { cluster, isDeadly } of moment.blows) {
      if (isDeadly) (await work.fleet.kill(cluster))()
      else work.fleet.get(cluster).dropConnection()
    }
    await sleep(moment.afterMs / 2)
    await atItsMoment(moment)
    await server.kill()
    const killedAt = performance.now()
    figures.kills += 1 + moment.starts.length
    figures['in a start'] += moment.starts.length
    for (const afterMs of moment.starts) await server.startAndKill(afterMs)
    await server.start()
    const wrong = await work.examine({ isOver: true })
    t.same(wrong, [], `after kill ${figures.kills}, ${JSON.stringify(moment)}`)
    if (wrong.length > 0) return
    await work.go()
    slowest = Math.max(slowest, Math.round(performance.now() - killedAt))
  }

  const done = await work.finish(t)
  t.ok(figures.kills > 0)
  t.equal(await server.process.end('SIGTERM'), 0)
  tell(t, { ...figures, ...done, 'longest from a kill to the next acknowledgement, ms': slowest })
})

for (const afterAnswers of [1, 40, 120]) {
  t.test(`a kill after ${afterAnswers} of 200 concurrent deploys were acknowledged loses none of those`, async t => {
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'kill-'))
    t.teardown(() => rm(DATA_DIR, { recursive: true, force: true }))
    const first = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
    const acknowledged: string[] = []
    const deploy = (url: string, name: string) =>
      fetch(`${url}/api/deploy`, asYaml(yamlDescriptor(name, 'replicas: 2\n')))
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        try {
          const answer = await deploy(first.url, `s${i}`)
          if (answer.status !== 200) return
          acknowledged.push(((await answer.json()) as { job_name: string }).job_name)
          if (acknowledged.length === afterAnswers) first.child.kill('SIGKILL')
        } catch {
          // The server is gone: nothing was acknowledged to this user.
        }
      })
    )
    t.ok(acknowledged.length >= afterAnswers, `${acknowledged.length} were acknowledged`)

    const second = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
    // More deploys after the crash must not be given addresses that are leased already.
    await Promise.all(Array.from({ length: 50 }, (_, i) => deploy(second.url, `after${i}`)))
    const jobs = await jobsOf(() => second.url)
    const names = new Set(jobs.map(({ job_name: name }) => name))
    t.same(
      acknowledged.filter(name => !names.has(name)),
      [],
      'none is lost'
    )
    t.same(addressesOf(jobs), { count: jobs.length * 3, twice: [] }, 'no address twice')
    t.equal(await second.end('SIGTERM'), 0)
  })
}
