import t from 'tap'
import type { Vitals } from '../../services/cluster-registry/liveness.js'
import { createEvictionHold, type HoldSettings } from '../../services/job-lifecycle/controllers/eviction-hold.js'

const SETTINGS: HoldSettings = { share: 0.5, graceMs: 45_000, failoverMs: 120_000, patienceMs: 120_000, rate: 10 }

function start (settings: Partial<HoldSettings> = {}) {
  let now = 1_000_000
  const hold = createEvictionHold({ ...SETTINGS, ...settings }, () => now)
  /** Clusters that are silent for so many seconds. */
  const update = (...silentS: number[]) => hold.update(silentS.map(silent), Infinity)
  return {
    hold,
    update,
    wait: (seconds: number) => {
      now += seconds * 1000
    }
  }
}

const silent = (seconds: number, index = 0): Vitals => ({
  id: String(index),
  silentMs: seconds * 1000,
  lost: false,
  evicted: false
})

t.test(
  'evictions are held when more than half of at least 3 active clusters fall silent within a grace time',
  async t => {
    for (const [held, ...silentS] of [
      [true, 50, 50, 50],
      [true, 50, 60, 5],
      [true, 45, 90, 1],
      [false, 45, 91, 1],
      [false, 50, 60, 5, 5],
      [true, 50, 60, 70, 5, 5],
      [false, 50, 50],
      [false, 44, 44, 44],
      [false, 50, 5, 5],
      // Silent for long, one after the other.
      [false, 50, 100, 150, 200, 5, 5]
    ] as const) {
      const { hold, update } = start()
      t.equal(update(...silentS), held, silentS.join())
      t.equal(hold.isHeld, held)
    }
    const { hold, update } = start()
    update(50, 60, 5)
    t.equal(hold.reason(), '2 of 3 clusters fell silent together')
  }
)

t.test('lost clusters count neither as silent nor as active', async t => {
  const { hold } = start()
  const lost = [50, 50, 50, 50].map(seconds => ({ ...silent(seconds), lost: true }))
  t.equal(hold.update([...lost, silent(1)], Infinity), false)
  t.equal(hold.update([...lost, silent(50), silent(1), silent(1)], Infinity), false)
})

t.test('a share of 1 turns it off, and silence means nothing before clusters had a chance to report', async t => {
  t.equal(start({ share: 1 }).update(50, 50, 50, 50), false)
  t.equal(start({ share: 0.9 }).update(50, 50, 50, 5), false)
  const { hold } = start()
  t.equal(hold.update([60, 60, 60].map(silent), 44_999), false)
  t.equal(hold.update([60, 60, 60].map(silent), 45_000), true)
})

t.test('where clusters are lost as soon as they are inactive, half of that time is doubt enough', async t => {
  const { update } = start({ failoverMs: 45_000 })
  t.equal(update(45, 30, 23), true)
})

t.test('it ends a while after the first sign of life, and not without one', async t => {
  const { update, wait } = start()
  t.equal(update(50, 50, 50), true)
  wait(86_400)
  t.equal(update(86_450, 86_450, 86_450), true, 'none at all')
  t.equal(update(1, 86_450, 86_450), true)
  wait(119)
  t.equal(update(0, 86_570, 86_570), true)
  wait(1)
  t.equal(update(100, 86_571, 0), false)
})

t.test('survivors are signs of life, too', async t => {
  const { update, wait } = start()
  t.equal(update(50, 50, 5), true)
  wait(10)
  t.equal(update(60, 60, 0), true)
  wait(119)
  t.equal(update(179, 179, 0), true)
  wait(1)
  // As the watch stores it: these are lost.
  t.equal(update(0), false)
})

t.test('a new leader holds what was lost and not evicted', async t => {
  const { hold, wait } = start()
  const vitals = [{ ...silent(500), lost: true }, { ...silent(500), lost: true, evicted: true }, silent(1)]
  hold.resume(vitals)
  t.equal(hold.isHeld, true)
  t.match(hold.reason(), '1 cluster had fallen silent together')
  wait(1)
  hold.update([...vitals.slice(0, 2), silent(0)], 0)
  wait(120)
  t.equal(hold.update([...vitals.slice(0, 2), silent(0)], 0), false)

  const other = start()
  other.hold.resume([{ ...silent(1), lost: true }, { ...silent(500), lost: true, evicted: true }, silent(1)])
  t.equal(other.hold.isHeld, false, 'a cluster that is back is not held')
})

t.test('evictions after a hold are at most so many a minute', async t => {
  const { hold, wait } = start({ rate: 2 })
  t.same([hold.mayEvict(), hold.mayEvict(), hold.mayEvict()], [true, true, false])
  wait(59)
  t.equal(hold.mayEvict(), false)
  wait(1)
  t.same([hold.mayEvict(), hold.mayEvict(), hold.mayEvict()], [true, true, false])
})
