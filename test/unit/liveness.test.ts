import t from 'tap'
import { mock } from 'node:test'
import { createLiveness } from '../../services/cluster-registry/liveness.js'
import type { ClusterSign } from '../../stores/store.js'

const GRACE_MS = 45_000
const HOUR_MS = 3_600_000
const A = 'a'.repeat(24)
const B = 'b'.repeat(24)

/** A process that starts now, with a wall clock and a monotonic one that can be set apart. */
function start () {
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 31, 12) })
  let monotonic = 1000
  return {
    liveness: createLiveness(GRACE_MS, () => monotonic),
    /** Time goes by on both clocks. */
    wait (ms: number) {
      monotonic += ms
      mock.timers.setTime(Date.now() + ms)
    },
    setClock: (byMs: number) => mock.timers.setTime(Date.now() + byMs)
  }
}
t.afterEach(() => mock.timers.reset())

const sign = (id: string, at: number, more: Partial<ClusterSign> = {}): ClusterSign => ({
  id,
  last_modified_timestamp: at / 1000,
  lost: false,
  evicted: false,
  ...more
})

t.test('a cluster is active for the grace time after a sign of life, wherever the clock is set', async t => {
  for (const step of [0, HOUR_MS, -HOUR_MS]) {
    const { liveness, wait, setClock } = start()
    const at = Date.now()
    liveness.heard(A, at)
    const cluster = { id: A, last_modified_timestamp: at / 1000 }
    setClock(step)
    wait(GRACE_MS - 1)
    t.equal(liveness.isActive(cluster), true)
    t.equal(liveness.silence(cluster), GRACE_MS - 1)
    wait(1)
    t.equal(liveness.isActive(cluster), false)
    t.equal(liveness.countActive(), 0)
    liveness.heard(A, Date.now())
    t.equal(liveness.countActive(), 1)
    mock.timers.reset()
  }
})

t.test('what the store had at the start counts by the wall clock', async t => {
  const { liveness } = start()
  t.equal(liveness.silence(sign(A, Date.now() - 20_000)), 20_000)
  t.equal(liveness.silence(sign(B, Date.now() + 5000)), 0, 'the clock of another process may be ahead')
})

t.test('a time far in the future is of a clock that was set back: nothing is known until the next sign', async t => {
  const { liveness } = start()
  const stored = sign(A, Date.now() + HOUR_MS)
  t.equal(liveness.isActive(stored), false)
  t.equal(liveness.isActive(sign(A, Date.now())), true)
})

t.test('each other time in the store is a sign of life between two looks', async t => {
  const { liveness, wait } = start()
  const before = Date.now()
  await liveness.observe(async () => [sign(A, before)])
  wait(GRACE_MS)
  await liveness.observe(async () => [sign(A, before)])
  t.equal(liveness.countActive(), 0)
  wait(5000)
  await liveness.observe(async () => [sign(A, Date.now() - 2000)])
  t.match(liveness.vitals(), [{ silentMs: 2000 }], 'by the wall clock')
  for (const [skewMs, silentMs] of [[-HOUR_MS, 5000], [HOUR_MS, 0]] as const) {
    wait(5000)
    await liveness.observe(async () => [sign(A, Date.now() + skewMs)])
    t.match(liveness.vitals(), [{ silentMs }], 'but by no wrong clock of another process')
  }
})

t.test('a cluster with an open channel is not lost, and active only while it gives signs of life', async t => {
  const { liveness, wait } = start()
  liveness.heard(A, Date.now())
  liveness.connected(A, true)
  wait(HOUR_MS)
  t.same(liveness.vitals(), [{ id: A, silentMs: 0, lost: false, evicted: false }])
  t.equal(liveness.countActive(), 0)
  liveness.connected(A, false)
  t.match(liveness.vitals(), [{ silentMs: HOUR_MS }])
})

t.test('what was made of the silence of a cluster comes from the store, and is known at once here', async t => {
  const { liveness } = start()
  await liveness.observe(async () => [sign(A, Date.now(), { lost: true, evicted: true }), sign(B, Date.now())])
  liveness.marked(B, { lost: true, evicted: false })
  liveness.marked('c'.repeat(24), { lost: true, evicted: false })
  t.match(liveness.vitals(), [
    { id: A, lost: true, evicted: true },
    { id: B, lost: true, evicted: false }
  ])
})

t.test('a cluster that was deleted is forgotten, and one that registered meanwhile is not', async t => {
  const { liveness, wait } = start()
  await liveness.observe(async () => [sign(A, Date.now())])
  wait(1000)
  await liveness.observe(async () => {
    liveness.heard(B, Date.now())
    return []
  })
  t.match(liveness.vitals(), [{ id: B }])
  liveness.forget(B)
  t.same(liveness.vitals(), [])
})
