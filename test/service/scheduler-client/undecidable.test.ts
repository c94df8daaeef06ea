import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import { createEmbeddedScheduler } from '../../../services/scheduler-client/embedded/scheduler.js'
import type { Store } from '../../../stores/store.js'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import { aJob, on, registered, saved } from '../stores/samples.js'

/** The embedded scheduler on a file, with one cluster of 4 cores. */
async function start (t: Test) {
  const store: Store = await openSqliteStore({ file: join(t.testdir(), 'system-manager.db') })
  t.teardown(() => store.close())
  const { id: clusterId } = await registered(store)
  await store.clusters.heartbeat(clusterId, { total_cpu_cores: 4, memory_in_mb: 8000, warnings: [] }, Date.now())
  const log: Array<{ details: { err: Error, job_id: string }, message: string }> = []
  const scheduler = createEmbeddedScheduler({
    store,
    liveness: createLiveness(45_000),
    graceMs: 45_000,
    log: {
      error: (details: any, message?: string) => {
        log.push({ details, message: message! })
      }
    }
  })
  return { store, scheduler, clusterId, log }
}

const asking = (cpu: unknown, memory: unknown = 100) => aJob({ descriptor: { ...aJob().descriptor, requirements: { cpu, memory } as NonNullable<Job['descriptor']['requirements']> } })

t.test('a job about which no decision is possible costs the others of the page nothing: it is logged and left as it is', async t => {
  const { store, scheduler, clusterId, log } = await start(t)
  const page = [await saved(store, asking(2)), await saved(store, asking(-1)), await saved(store, asking(2))]
  const decisions = await scheduler.place(page)
  t.strictSame(
    decisions.map(decision => (decision?.kind === 'placed' ? decision.assignments : decision)),
    [
      [{ instance_number: 0, cluster_id: clusterId, original: false, offered: { cpu: 4, memory: 8000, nodes: null } }],
      undefined,
      [{ instance_number: 0, cluster_id: clusterId, original: false, offered: { cpu: 4, memory: 8000, nodes: null } }]
    ]
  )
  t.match(log, [{ details: { job_id: page[1]!.id }, message: /no decision about a job is possible/ }])
  t.equal(log[0]?.details.err.message, 'requirements.cpu: expected a number of at least 0, got -1')
  t.strictSame(await store.jobs.get(page[1]!.id), page[1])
})

t.test('requirements that are no amount are not decided on; digits are numbers', async t => {
  const { scheduler, log } = await start(t)
  const page = [asking('plenty'), asking(''), asking([]), asking(1, -1), asking('0.5', '100'), asking(null, null)]
  t.strictSame((await scheduler.place(page)).map(decision => decision?.kind), [undefined, undefined, undefined, undefined, 'placed', 'placed'])
  t.match(log.map(({ details }) => details.err.message), [/cpu: .* got "plenty"/, /cpu: .* got ""/, /cpu: .* got \[\]/, /memory: .* got -1/])
})

t.test('what the store and the caller know to be reserved is not given away again', async t => {
  const { store, scheduler, clusterId } = await start(t)
  const whole = asking(4, 8000)
  t.equal((await scheduler.place([whole]))[0]?.kind, 'placed', 'nothing is reserved yet')
  t.equal((await scheduler.place([whole], new Map([['f'.repeat(24), { cpu: 1, memory: 1 }]])))[0]?.kind, 'placed', 'nor by what is reserved elsewhere')
  await saved(store, on(asking(1.5), clusterId))
  const job = await saved(store, asking(2.5))
  t.equal((await scheduler.place([job]))[0]?.kind, 'placed', 'exactly 2.5 cores are left')
  const taken = await scheduler.place([job], new Map([[clusterId, { cpu: 0.5, memory: 0 }]]))
  t.match(taken[0]?.explanation.summary, /: 2 cores free of 2.5 asked$/)
  const [given] = await scheduler.place([await saved(store, asking(4))], new Map([[clusterId, { cpu: -1.5, memory: 0 }]]))
  t.equal(given?.kind, 'placed')
  const [crowded] = await scheduler.place([job], new Map([[clusterId, { cpu: 0, memory: 7801 }]]))
  t.match(crowded?.explanation.summary, /: 99 MB free of 100 asked$/)
})

t.test('requests get their turn while a long page is decided on', async t => {
  const { store, scheduler } = await start(t)
  const job = await saved(store, aJob({ instances: 5000 }))
  let turns = 0
  let isOver = false
  const count = () => { turns++; if (!isOver) setImmediate(count) }
  const placing = scheduler.place(Array.from({ length: 100 }, () => job)).finally(() => { isOver = true })
  // Counted from when the store has answered: what comes before has turns of its own.
  await store.jobs.reserved()
  setImmediate(count)
  await placing
  t.ok(turns > 5, `${turns} turns`)
})

t.test('it answers its test, and takes a callback that it never asked for', async t => {
  const { scheduler } = await start(t)
  t.equal(await scheduler.test(), 'the embedded scheduler answers')
  t.equal(scheduler.answered('0'.repeat(24)), undefined)
})
