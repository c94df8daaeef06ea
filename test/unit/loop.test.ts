import { EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { startLoop, type Loop, type LoopOptions, type Turn } from '../../background/loop.js'

/** Milliseconds that never pass within a test. */
const NEVER = 3_600_000

interface Probe {
  loop: Loop
  turns: Turn[]
  log: Array<{ details: any, message: string }>
  /** Resolves when so many turns have begun. */
  begun (count: number): Promise<void>
  /** Lets the turn under way end, with an error if there is one. */
  end (err?: Error): void
}

/** A loop whose turns begin by themselves and end when the test says so; with `isQuick`, at once. */
function probe (t: Test, { isQuick = false, ...options }: Partial<LoopOptions> & { isQuick?: boolean } = {}): Probe {
  const turns: Turn[] = []
  const log: Probe['log'] = []
  const events = new EventEmitter()
  let settle: (err?: Error) => void = () => {}
  const loop = startLoop({
    name: 'probe',
    everyMs: NEVER,
    log: { error: (details, message) => { log.push({ details, message }) } },
    async run (turn) {
      turns.push(turn)
      events.emit('turn')
      if (isQuick) return
      await new Promise<void>((resolve, reject) => { settle = err => err ? reject(err) : resolve() })
    },
    ...options
  })
  const end = (err?: Error) => settle(err)
  t.teardown(async () => {
    const stopped = loop.stop()
    end()
    await stopped.catch(() => {})
  })
  // The timers of a loop keep no process alive: here something has to.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  return {
    loop,
    turns,
    log,
    end,
    async begun (count) {
      while (turns.length < count) await once(events, 'turn')
    }
  }
}

/** So many turns of the event loop: whatever is ready has happened after it. */
async function settled (): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
}

/** A lease that is held once the test grants it. As any lease, it gives up when the loop is stopped. */
function aLease () {
  const grants = new EventEmitter()
  let asked = 0
  return {
    grant: (token: number) => grants.emit('grant', token),
    asked: () => asked,
    async held (signal: AbortSignal): Promise<number> {
      asked++
      const [token] = await once(grants, 'grant', { signal }) as [number]
      return token
    }
  }
}

const isPending = async (promise: Promise<unknown>) => {
  let pending = true
  promise.then(() => { pending = false }, () => { pending = false })
  await settled()
  return pending
}

t.test('it begins with a turn, or waits for the first one where it is not to begin at once', async t => {
  const atOnce = probe(t)
  await atOnce.begun(1)
  const later = probe(t, { atOnce: false })
  await settled()
  t.equal(later.turns.length, 0)
  later.loop.wake()
  await later.begun(1)
})

t.test('a turn follows everyMs after the end of the last one', async t => {
  const { turns, begun, end } = probe(t, { everyMs: 50 })
  await begun(1)
  // Far longer than everyMs: no second turn beside the first.
  await new Promise(resolve => setTimeout(resolve, 150))
  t.equal(turns.length, 1, 'one turn at a time')
  const ended = performance.now()
  end()
  await begun(2)
  t.ok(performance.now() - ended >= 45, 'not before its time')
})

t.test('a wake between turns causes one at once', async t => {
  const { loop, turns, begun, end } = probe(t)
  await begun(1)
  end()
  await settled()
  t.equal(turns.length, 1)
  loop.wake()
  loop.wake()
  await begun(2)
  end()
  await settled()
  t.equal(turns.length, 2, 'two wakes before a turn are one')
})

t.test('wakes during a turn cause exactly one more, and none beside it', async t => {
  const { loop, turns, begun, end } = probe(t)
  await begun(1)
  loop.wake()
  loop.wake()
  loop.wake()
  await settled()
  t.equal(turns.length, 1, 'not before the turn is over')
  end()
  await begun(2)
  end()
  await settled()
  t.equal(turns.length, 2)
})

t.test('a turn that fails is logged, and the next one tries again', async t => {
  const { loop, log, begun, end } = probe(t, { everyMs: 10 })
  await begun(1)
  const err = new Error('broken')
  end(err)
  await begun(2)
  t.strictSame(log, [{ details: { err }, message: 'probe failed, it is tried again' }])
  end()
  await begun(3)
  t.equal(log.length, 1)
  t.ok(await isPending(loop.ended))
})

t.test('a turn that throws before its first await is logged too', async t => {
  let turns = 0
  const over = new EventEmitter()
  const { log } = probe(t, { everyMs: 1, run () { if (++turns === 3) over.emit('third'); throw new Error('at once') } })
  await once(over, 'third')
  t.ok(log.length >= 2)
})

t.test('each: an item that fails is logged with what it is about, and never stops the others', async t => {
  const { turns, log, begun } = probe(t)
  await begun(1)
  const done: number[] = []
  let underWay = 0
  await turns[0]!.each([1, 2, 3, 4], async item => {
    t.equal(++underWay, 1, 'one after the other')
    await settled()
    underWay--
    if (item === 2) throw new Error(`no ${item}`)
    done.push(item)
  }, item => ({ item, job_id: `job-${item}` }))
  t.strictSame(done, [1, 3, 4])
  t.match(log, [{ details: { item: 2, job_id: 'job-2', err: { message: 'no 2' } }, message: 'probe: one item failed, the others go on' }])
  t.equal(log.length, 1)
})

t.test('each: an item that throws before its first await stops the others no more', async t => {
  const { turns, log, begun } = probe(t)
  await begun(1)
  const done: string[] = []
  await turns[0]!.each(['a', 'b'], item => { if (item === 'a') throw new Error('at once'); done.push(item); return Promise.resolve() }, item => ({ item }))
  t.strictSame(done, ['b'])
  t.match(log, [{ details: { item: 'a' } }])
})

t.test('each: an item that cannot even be described stops the others no more', async t => {
  const { turns, log, begun } = probe(t)
  await begun(1)
  const done: Array<string | null> = []
  await turns[0]!.each([null, 'b'], async item => { if (item === null) throw new Error('nothing there'); done.push(item) }, item => ({ length: item!.length }))
  t.strictSame(done, ['b'])
  t.match(log, [{ details: { err: { message: 'nothing there' } }, message: 'probe: one item failed, the others go on' }])
})

t.test('each: nothing new is begun once the loop is stopped', async t => {
  const { loop, turns, begun, end } = probe(t)
  await begun(1)
  const done: number[] = []
  await turns[0]!.each([1, 2, 3], async item => {
    done.push(item)
    if (item === 2) loop.stop()
  }, item => ({ item }))
  end()
  t.strictSame(done, [1, 2])
})

t.test('with a lease, a turn waits until it is held, is given its fence, and asks for it anew each time', async t => {
  const lease = aLease()
  const { loop, turns, begun, end } = probe(t, { lease })
  await settled()
  t.equal(turns.length, 0)
  t.equal(loop.busyMs(), 0, 'to wait for a lease is not to be busy')
  t.equal(lease.asked(), 1)
  lease.grant(7)
  await begun(1)
  t.equal(turns[0]!.fence, 7)
  end()
  loop.wake()
  await settled()
  t.equal(turns.length, 1, 'lost meanwhile')
  lease.grant(9)
  await begun(2)
  t.equal(turns[1]!.fence, 9)
})

t.test('without a lease the fence is 0', async t => {
  const { turns, begun } = probe(t)
  await begun(1)
  t.equal(turns[0]!.fence, 0)
})

t.test('a wake while the lease is elsewhere is not lost, and is one turn with what follows', async t => {
  const lease = aLease()
  const { loop, turns, begun, end } = probe(t, { atOnce: false, lease })
  loop.wake()
  await settled()
  loop.wake()
  lease.grant(1)
  await begun(1)
  end()
  await settled()
  t.equal(lease.asked(), 1, 'the next turn is a long time off')
  t.equal(turns.length, 1)
})

t.test('gatherMs: what arrives within it shares a turn', async t => {
  // Long enough for a busy machine, which may take the process away between the two wakes.
  const { loop, turns, begun } = probe(t, { isQuick: true, gatherMs: 400, atOnce: false })
  const woken = performance.now()
  loop.wake()
  await settled()
  loop.wake()
  await begun(1)
  t.ok(performance.now() - woken >= 395, 'not before it is over')
  await new Promise(resolve => setTimeout(resolve, 500))
  t.equal(turns.length, 1)
})

t.test('cooldownMs: between two turns there is at least the cooldown, whatever wakes the loop', async t => {
  const took: number[] = []
  const { loop, begun, end } = probe(t, { cooldownMs: ms => { took.push(ms); return 60 } })
  const started = performance.now()
  await begun(1)
  await new Promise(resolve => setTimeout(resolve, 30))
  const ended = performance.now()
  end()
  loop.wake()
  await settled()
  loop.wake()
  await begun(2)
  t.ok(performance.now() - ended >= 55)
  t.equal(took.length, 1)
  t.ok(took[0]! >= 25 && took[0]! <= performance.now() - started, 'it gets the time that the turn took')
})

t.test('cooldownMs: it is told apart what a turn worked and what it waited', async t => {
  const told: Array<[number, number]> = []
  const { begun, end } = probe(t, { cooldownMs: (tookMs, busyMs) => { told.push([tookMs, busyMs]); return 0 } })
  await begun(1)
  const until = performance.now() + 50
  while (performance.now() < until);
  await new Promise(resolve => setTimeout(resolve, 400))
  end()
  await settled()
  const [tookMs, busyMs] = told[0]!
  t.ok(tookMs >= 445, `took ${tookMs} ms`)
  t.ok(busyMs >= 45 && busyMs < 300, `busy for ${busyMs} ms`)
})

t.test('cooldownMs: a turn that fails is followed by its cooldown too', async t => {
  const { loop, begun, end } = probe(t, { cooldownMs: () => 60 })
  await begun(1)
  const ended = performance.now()
  end(new Error('broken'))
  loop.wake()
  await begun(2)
  t.ok(performance.now() - ended >= 55)
})

t.test('stop aborts the signal of the turn under way, waits for its end, and begins nothing new', async t => {
  const { loop, turns, log, begun, end } = probe(t)
  await begun(1)
  t.equal(turns[0]!.signal.aborted, false)
  loop.wake()
  const stopped = loop.stop()
  t.equal(turns[0]!.signal.aborted, true)
  t.ok(await isPending(stopped))
  t.ok(await isPending(loop.ended))
  end()
  await stopped
  await loop.ended
  loop.wake()
  await settled()
  t.equal(turns.length, 1)
  t.strictSame(log, [])
})

t.test('a turn that ends with an error because the loop is stopped is no failure', async t => {
  const { loop, log, begun, end } = probe(t)
  await begun(1)
  const stopped = loop.stop()
  end(new Error('aborted'))
  await stopped
  t.strictSame(log, [])
})

for (const [when, options] of [
  ['between turns', { isQuick: true }],
  ['before the first turn', { atOnce: false }],
  ['while it waits for its lease', { lease: aLease() }],
  ['while it gathers', { gatherMs: NEVER }],
  ['while it cools down', { isQuick: true, cooldownMs: () => NEVER }]
] as const) {
  t.test(`stop ${when} resolves at once, and so does every later stop`, async t => {
    const { loop, turns } = probe(t, options)
    await settled()
    const before = turns.length
    await loop.stop()
    await loop.stop()
    await loop.ended
    t.equal(turns.length, before)
  })
}

t.test('a lease that is granted after the loop was stopped begins no turn', async t => {
  let grant: (token: number) => void = () => {}
  const { loop, turns } = probe(t, { lease: { held: () => new Promise<number>(resolve => { grant = resolve }) } })
  await settled()
  const stopped = loop.stop()
  grant(1)
  await stopped
  t.equal(turns.length, 0)
})

t.test('ended rejects when something outside of the turn breaks: nobody would do the work', async t => {
  const err = new Error('the lease is broken')
  const { loop, turns, log } = probe(t, { lease: { held: () => Promise.reject(err) } })
  await t.rejects(loop.ended, err)
  t.equal(turns.length, 0)
  t.equal(loop.busyMs(), 0)
  t.strictSame(log, [], 'whoever started it is to say so')
  loop.wake()
  await settled()
  t.equal(turns.length, 0, 'it is dead')
})

t.test('ended rejects when cooldownMs breaks', async t => {
  const { loop } = probe(t, { isQuick: true, cooldownMs: () => { throw new Error('no number') } })
  await t.rejects(loop.ended, /no number/)
})

t.test('a loop that died can be stopped like any other', async t => {
  const { loop } = probe(t, { lease: { held: () => Promise.reject(new Error('broken')) } })
  await t.rejects(loop.ended)
  await t.resolves(loop.stop())
})

t.test('busyMs is how long the turn under way has taken, and 0 between turns', async t => {
  const { loop, begun, end } = probe(t, { atOnce: false })
  t.equal(loop.busyMs(), 0)
  loop.wake()
  await begun(1)
  await new Promise(resolve => setTimeout(resolve, 30))
  t.ok(loop.busyMs() >= 25)
  end()
  await settled()
  t.equal(loop.busyMs(), 0)
  loop.wake()
  await begun(2)
  t.ok(loop.busyMs() < 25, 'counted anew')
  end(new Error('broken'))
  await settled()
  t.equal(loop.busyMs(), 0)
})

t.test('it keeps its name', async t => {
  t.equal(probe(t, { name: 'placement' }).loop.name, 'placement')
})
