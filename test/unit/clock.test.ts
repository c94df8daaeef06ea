import t from 'tap'
import { createClock } from '../../background/clock.js'

/** A clock with two sources that go by hand. */
function start () {
  const time = { wall: 1_000_000, monotonic: 500 }
  const steps: number[] = []
  const clock = createClock(
    step => steps.push(step),
    () => time.wall,
    () => time.monotonic
  )
  const wait = (ms: number) => {
    time.wall += ms
    time.monotonic += ms
  }
  return { time, steps, clock, wait }
}

t.test('a step of a second or more is told once; a clock that is kept in time takes none', async t => {
  const { time, steps, clock, wait } = start()
  for (let n = 0; n < 100; n++) {
    wait(1000)
    time.wall += 20
    clock.look()
  }
  t.same(steps, [])
  time.wall += 1000
  clock.look()
  clock.look()
  time.wall -= 3_600_000
  clock.look()
  t.same(steps, [1000, -3_600_000])
})

t.test('deadlines wait for as long as the clock was set forward, until they are over', async t => {
  const { time, steps, clock, wait } = start()
  t.equal(clock.forwardMs(600_000), 0)
  time.wall += 3_600_000
  t.equal(clock.forwardMs(600_000), 3_600_000, 'also without a look before')
  t.same(steps, [3_600_000])
  wait(599_999)
  t.equal(clock.forwardMs(600_000), 3_600_000)
  wait(1)
  t.equal(clock.forwardMs(600_000), 0)
})

t.test('set forward and back again is not set at all, and set back ends no deadline early', async t => {
  const { time, clock } = start()
  time.wall += 60_000
  clock.look()
  time.wall -= 60_000
  t.equal(clock.forwardMs(600_000), 0)
  time.wall -= 60_000
  t.equal(clock.forwardMs(600_000), 0)
})
