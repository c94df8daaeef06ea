import t, { type Test } from 'tap'
import { MAX_BACKLOG_BYTES, startDelivery } from '../../../services/cluster-channel/delivery.js'
import type { OutboxStore } from '../../../stores/store.js'
import { eventually } from '../../support/waiting.js'
import { openFile } from '../stores/sqlite-store.js'
import { keptLog } from '../stores/mongo-store.js'
import { aCommand, aJob, on, registered, saved } from '../stores/samples.js'
import { aWhile } from './channel-server.js'

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => n + first)

/** Delivery from a real outbox to a port that writes down what it is given. */
async function open (t: Test, { commands = 0, after = 0, resendMs = 60_000 } = {}) {
  const { store } = await openFile(t)
  const { id: clusterId } = await registered(store)
  const add = async (count: number) => {
    const job = on(aJob(), clusterId)
    await saved(store, job, { commands: Array.from({ length: count }, () => aCommand(job, clusterId)) })
  }
  await add(commands)
  const sent: number[] = []
  const wire = { backlog: 0 }
  const log = keptLog()
  const reads: Array<{ after: number, limit: number }> = []
  let hold: Promise<void> | undefined
  let failure: Error | undefined
  /** The outbox itself, whose answers may come late or not at all. */
  const outbox: OutboxStore = {
    ...store.outbox,
    async pending (id, page) {
      reads.push(page)
      const found = await store.outbox.pending(id, page)
      await hold
      if (failure) throw failure
      return found
    }
  }
  const delivery = startDelivery({
    clusterId,
    after,
    outbox,
    port: { send: ({ seq }) => { sent.push(seq) }, backlog: () => wire.backlog },
    resendMs,
    log: log as never
  })
  t.teardown(() => delivery.stop())
  return {
    store,
    clusterId,
    delivery,
    add,
    sent,
    wire,
    log,
    reads,
    /** Holds the answers of the outbox back until the function that it gives is called. */
    holdReads () {
      let letGo!: () => void
      hold = new Promise(resolve => { letGo = resolve })
      return () => {
        hold = undefined
        letGo()
      }
    },
    fail (err: Error | undefined) { failure = err },
    reaches: (length: number) => eventually(async () => sent.length, count => count >= length)
  }
}

t.test('it begins behind the last that the cluster took, and goes on with what comes', async t => {
  const { delivery, add, sent, reaches } = await open(t, { commands: 3, after: 1 })
  await reaches(2)
  t.same(sent, [2, 3])
  await add(2)
  delivery.wake()
  await reaches(4)
  await aWhile(50)
  t.same(sent, [2, 3, 4, 5])
})

t.test('no more than 64 are on their way; each that is settled makes room for one', async t => {
  const { delivery, sent, reads, reaches } = await open(t, { commands: 70 })
  await reaches(64)
  await aWhile(50)
  const { length } = reads
  delivery.wake()
  await aWhile(50)
  t.same(sent, upTo(64))
  t.equal(reads.length, length, 'nothing is read while there is no room')
  delivery.dropped(5)
  await reaches(65)
  delivery.settled(3)
  await reaches(68)
  await aWhile(50)
  t.same(sent, upTo(68))
  delivery.settled(64)
  await reaches(70)
  t.same(sent, upTo(70))
})

t.test('with more than 1 MiB not taken by the network nothing is sent, until it takes some', async t => {
  const { delivery, add, sent, wire, reads, reaches } = await open(t)
  await eventually(async () => reads.length, count => count === 1)
  t.equal(MAX_BACKLOG_BYTES, 1_048_576)
  wire.backlog = MAX_BACKLOG_BYTES + 1
  await add(2)
  delivery.wake()
  await aWhile(50)
  t.same(sent, [])
  t.equal(reads.length, 1, 'not even read')
  wire.backlog = MAX_BACKLOG_BYTES
  delivery.flushed()
  await reaches(2)
  const before = reads.length
  delivery.flushed()
  await aWhile(50)
  t.equal(reads.length, before, 'a network that is not behind causes no read')
})

t.test('as many as may be on their way are sent again, too', async t => {
  const { sent, delivery } = await open(t, { commands: 70, resendMs: 200 })
  await eventually(async () => sent.length, length => length >= 128)
  await delivery.stop()
  t.same(sent.slice(0, 128), [...upTo(64), ...upTo(64)])
})

t.test('what was not settled in time is sent again in order, and only then', async t => {
  const { delivery, sent, reaches } = await open(t, { commands: 3, resendMs: 150 })
  await reaches(3)
  delivery.dropped(1)
  await reaches(5)
  t.same(sent.slice(0, 5), [1, 2, 3, 2, 3])
  delivery.settled(3)
  const { length } = sent
  await aWhile(400)
  t.equal(sent.length, length, 'settled, so not again')
})

t.test('nothing is sent again behind what the network has not taken', async t => {
  const { delivery, sent, wire, reaches } = await open(t, { commands: 2, resendMs: 80 })
  await reaches(2)
  wire.backlog = 1
  await aWhile(400)
  t.same(sent, [1, 2])
  wire.backlog = 0
  await reaches(4)
  t.same(sent.slice(0, 4), [1, 2, 1, 2])
  await delivery.stop()
})

t.test('an acknowledgement while the outbox is read moves the place: what was read is read anew', async t => {
  const { delivery, add, sent, reads, holdReads, reaches } = await open(t, { after: 0 })
  await eventually(async () => reads.length, count => count === 1)
  await add(4)
  const letGo = holdReads()
  delivery.wake()
  await eventually(async () => reads.length, count => count === 2)
  // The cluster has these from an earlier session.
  delivery.settled(2)
  letGo()
  await reaches(2)
  await aWhile(50)
  t.same(sent, [3, 4])
})

t.test('a resend while the outbox is read sends nothing out of order', async t => {
  const { delivery, add, sent, reads, holdReads, reaches } = await open(t, { commands: 2, resendMs: 120 })
  await reaches(2)
  await eventually(async () => reads.length, count => count >= 1)
  await add(2)
  const letGo = holdReads()
  delivery.wake()
  await aWhile(300)
  letGo()
  await reaches(6)
  t.same(sent.slice(0, 6), [1, 2, 1, 2, 3, 4])
})

t.test('however often it is woken while the outbox is read, it is read once more', async t => {
  const { delivery, sent, reads, holdReads, add } = await open(t)
  await eventually(async () => reads.length, count => count === 1)
  const letGo = holdReads()
  await add(1)
  for (let count = 0; count < 10; count++) delivery.wake()
  await aWhile(50)
  t.equal(reads.length, 2, 'one read at a time')
  letGo()
  await eventually(async () => sent.length, count => count === 1)
  await aWhile(50)
  t.equal(reads.length, 3)
  t.same(sent, [1])
})

t.test('an outbox that cannot be read is logged, and read again when it is woken', async t => {
  const { delivery, add, sent, log, fail, reaches } = await open(t)
  await aWhile(50)
  fail(new Error('no'))
  await add(1)
  delivery.wake()
  await eventually(async () => log.errors.length, count => count === 1)
  t.match(log.errors[0]!.message, /commands could not be read/)
  fail(undefined)
  delivery.wake()
  await reaches(1)
  t.same(sent, [1])
})

t.test('once stopped it sends nothing, reads nothing, and its end waits for a read', async t => {
  const { delivery, add, sent, reads, log, holdReads, fail } = await open(t, { commands: 1, resendMs: 50 })
  await eventually(async () => sent.length, count => count === 1)
  await add(1)
  const letGo = holdReads()
  delivery.wake()
  await aWhile(20)
  let isStopped = false
  const stopping = delivery.stop().then(() => { isStopped = true })
  await aWhile(20)
  t.equal(isStopped, false)
  fail(new Error('no'))
  letGo()
  await stopping
  const { length } = reads
  const { length: count } = sent
  const timers = () => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const running = timers()
  for (const act of [delivery.wake, () => delivery.settled(0), () => delivery.dropped(2), () => delivery.settled(1), delivery.flushed]) {
    act()
    t.equal(timers(), running, 'no timer is left behind')
  }
  await aWhile(150)
  t.equal(reads.length, length)
  t.equal(sent.length, count)
  t.same(log.errors, [], 'a read that fails after the end is no news')
})

t.test('what was read while it was stopped is not sent', async t => {
  const { delivery, add, sent, reads, holdReads } = await open(t)
  await eventually(async () => reads.length, count => count === 1)
  await add(2)
  const letGo = holdReads()
  delivery.wake()
  await eventually(async () => reads.length, count => count === 2)
  const stopping = delivery.stop()
  letGo()
  await stopping
  t.same(sent, [])
})

for (const settle of ['dropped', 'settled'] as const) {
  t.test(`each command has its own time, also after the one before it was ${settle}, even if the outbox is slow`, async t => {
    const { delivery, add, sent, reaches, holdReads } = await open(t, { commands: 1, resendMs: 600 })
    await reaches(1)
    await aWhile(400)
    await add(1)
    delivery.wake()
    await reaches(2)
    const sentAt = performance.now()
    const letGo = holdReads()
    delivery[settle](1)
    await aWhile(300)
    letGo()
    await reaches(3)
    t.ok(performance.now() - sentAt > 550, 'not at the time of the first')
    t.same(sent.slice(0, 3), [1, 2, 2])
  })
}
