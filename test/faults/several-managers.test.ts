import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { portOf, startSeveral } from '../multi-manager/world.js'
import type { ServerProcess } from '../support/server-process.js'
import { suspend } from '../support/suspend.js'
import { patience } from '../support/waiting.js'
import { randomOf, startChaosProxy } from './chaos-proxy.js'
import { jobsOf } from './examination.js'
import { watchLeadership } from './leadership.js'
import { lengthOf, tell } from './length.js'
import { impatient } from './standing-server.js'
import { CLUSTERS, startWork } from './work.js'

const MANAGERS = 3
/** Shorter than production, no shorter than a process here needs to renew it. */
const LEASE_S = patience(2)
/** Milliseconds after which what stands before the managers no longer sends anybody to one that does not answer. */
const BALANCER_MS = 300

const blow = fc.record({
  do: fc.constantFrom('kill' as const, 'kill' as const, 'suspend' as const, 'end' as const),
  which: fc.nat(MANAGERS - 1),
  afterMs: fc.integer({ min: 100, max: 700 }),
  /** How long a killed one is away; a suspended one so much longer than its lease. */
  awayMs: fc.integer({ min: 50, max: 1200 })
})

t.test('whichever managers are killed and suspended, what any of them acknowledged stands, and one leads', async t => {
  const length = lengthOf(t, 10)
  const random = randomOf(length.seed)
  const settings = { ...impatient(patience(8)), LEASE_S: String(LEASE_S) }
  const several = await startSeveral(t, MANAGERS, { env: settings })
  const managers: Array<ServerProcess | undefined> = [...several.servers]
  /** Where the balancer sends who comes. */
  const serving = new Set(several.servers)
  const any = () => [...serving][Math.floor(random() * serving.size)]!
  const gates = new Map<string, Awaited<ReturnType<typeof startChaosProxy>>>()
  for (const name of CLUSTERS) gates.set(name, await startChaosProxy(t, () => portOf(any()), random))
  const leave = (manager: ServerProcess) => {
    serving.delete(manager)
    for (const gate of gates.values()) gate.cut(portOf(manager))
  }

  const work = await startWork(t, {
    url: () => any().url,
    clusterUrl: name => `http://127.0.0.1:${gates.get(name)!.port}`,
    seed: length.seed
  })
  const leadership = await watchLeadership(t, several.uri, () =>
    managers.flatMap(manager => (manager && manager.child.exitCode === null ? [manager.url] : []))
  )
  const fences = new Map<string, number>()
  const figures = { killed: 0, suspended: 0, ended: 0 }
  let slowest = 0

  async function fallen (): Promise<string[]> {
    const jobs = await jobsOf(() => any().url)
    const found = jobs
      .filter(({ id, fence }) => fence < (fences.get(id) ?? 0))
      .map(job => `${job.job_name}: its fence`)
    for (const { id, fence } of jobs) fences.set(id, fence)
    return found
  }

  async function strike ({ do: how, which, awayMs }: { do: string; which: number; awayMs: number }): Promise<void> {
    const manager = managers[which]
    // One always serves; the others may all be under blows.
    if (!manager || managers.filter(Boolean).length === 1) return
    managers[which] = undefined
    if (how === 'suspend') {
      figures.suspended++
      await suspend(manager.child.pid!)
      await sleep(BALANCER_MS)
      leave(manager)
      await sleep(LEASE_S * 1000 + awayMs)
      manager.child.kill('SIGCONT')
      managers[which] = manager
    } else {
      figures[how === 'kill' ? 'killed' : 'ended']++
      // Nobody warns the balancer, nor those who are connected.
      const ending = manager.end(how === 'kill' ? 'SIGKILL' : 'SIGTERM')
      if (how === 'kill') leave(manager)
      await ending
      leave(manager)
      await sleep(awayMs)
      managers[which] = await several.add()
    }
    serving.add(managers[which])
  }

  /** What is under way: a suspended one sleeps while others are killed. */
  const striking = new Set<Promise<void>>()
  const complaints: unknown[] = []
  let examinedAt = performance.now()
  for (const { afterMs, ...one } of fc.sample(blow, { seed: length.seed, numRuns: 10_000 })) {
    // On a busy machine the time may be over before there was enough of everything.
    if (length.isOver() && figures.killed > 0 && figures.suspended > 0) break
    await sleep(afterMs)
    const struckAt = performance.now()
    const struck = strike(one)
      .catch((err: Error) => {
        complaints.push(err.stack)
      })
      .finally(() => striking.delete(struck))
    striking.add(struck)
    await work.users.acknowledged()
    slowest = Math.max(slowest, Math.round(performance.now() - struckAt))
    if (performance.now() - examinedAt < 2000) continue
    const wrong = [...(await work.examine()), ...(await fallen()), ...leadership.faults, ...complaints]
    t.same(wrong, [], `after ${JSON.stringify(figures)}`)
    if (wrong.length > 0) break
    await work.go()
    examinedAt = performance.now()
  }
  await Promise.all(striking)

  const done = await work.finish(t)
  t.same([...leadership.faults, ...complaints, ...(await fallen())], [])
  t.ok(figures.killed > 0 && figures.suspended > 0, JSON.stringify(figures))
  for (const manager of serving) t.equal(await manager.end('SIGTERM'), 0)
  tell(t, {
    ...figures,
    ...done,
    ...leadership.figures,
    'longest from a blow to the next acknowledgement, ms': slowest
  })
})
