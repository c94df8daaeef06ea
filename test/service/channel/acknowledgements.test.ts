import t, { type Test } from 'tap'
import { createAcknowledgements } from '../../../services/cluster-channel/acknowledgements.js'
import { openReports } from '../job-lifecycle/reports.js'
import { aCommand, aJob, on, registered } from '../stores/samples.js'

/** A cluster with the commands 1 to `count`, each for a job of its own, whose instance awaits that it is acknowledged. */
async function withCommands (t: Test, count: number) {
  const { connection, clusters, outbox, jobs, reports } = await openReports(t)
  const { id: clusterId } = await registered({ clusters })
  const all = Array.from({ length: count }, () => on(aJob(), clusterId))
  await jobs.commit(all.map(job => {
    const command = aCommand(job, clusterId)
    job.instance_list[0]!.awaits = command.command_id
    return { job, events: [], commands: [command] }
  }))
  const commands = () => outbox.pending(clusterId, { after: 0, limit: 1000 })
  const reads: Array<{ after: number, limit: number }> = []
  const counted: typeof outbox = {
    ...outbox,
    pending (id, page) {
      reads.push(page)
      return outbox.pending(id, page)
    }
  }
  const acknowledgements = createAcknowledgements(counted, reports)
  return {
    connection,
    clusterId,
    acknowledgements,
    /** False for a seq that was never given out. */
    acknowledge: async (seq: number) => (await acknowledgements.hear(clusterId, [{ ack: seq }]))[0] !== undefined,
    commands,
    /** What was read of the outbox to acknowledge. */
    reads,
    /** The seqs that wait. */
    waiting: async () => (await commands()).map(({ seq }) => seq),
    /** The seqs of the commands whose jobs have an event of this type, and how many such events there are in all. */
    async events (type: string) {
      const found = await Promise.all(all.map(async ({ id }) => (await jobs.events(id, { limit: 100 })).filter(event => event.type === type)))
      return { of: found.flatMap((events, index) => events.length > 0 ? [index + 1] : []), total: found.flat().length }
    }
  }
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => n + first)

t.test('an acknowledgement settles everything up to its seq, and nothing beyond, however much it is', async t => {
  const { connection, acknowledge, waiting, events } = await withCommands(t, 200)
  t.equal(await acknowledge(150), true)
  t.same(await waiting(), upTo(200, 151))
  t.same(await events('acknowledged'), { of: upTo(150), total: 150 })
  const { commits } = connection
  t.equal(await acknowledge(150), true, 'again')
  t.equal(await acknowledge(3), true, 'an old one')
  t.equal(await acknowledge(201), false, 'one that was never given out')
  t.equal(connection.commits, commits, 'none of them writes')
  t.same(await waiting(), upTo(200, 151))
  t.equal(await acknowledge(200), true)
  t.same(await waiting(), [])
  t.same(await events('acknowledged'), { of: upTo(200), total: 200 })
})

t.test('64 commands are read at a time, and none beyond the seq; one where one is asked for', async t => {
  const { acknowledgements, acknowledge, clusterId, commands, reads } = await withCommands(t, 200)
  await acknowledge(100)
  t.same(reads.splice(0), [{ after: 0, limit: 64 }, { after: 64, limit: 36 }])
  await acknowledgements.start(clusterId, 101)
  t.same(reads.splice(0), [{ after: 100, limit: 1 }, { after: 101, limit: 1 }])
  await acknowledgements.take(clusterId, (await commands())[0]!)
  t.same(reads.splice(0), [{ after: 0, limit: 1 }])
  await acknowledgements.refuse(clusterId, 150, 'no disk')
  t.same(reads.splice(0), [{ after: 149, limit: 1 }])
})

t.test('a command that is acknowledged alone leaves earlier ones waiting', async t => {
  const { acknowledgements, acknowledge, clusterId, waiting, events, commands } = await withCommands(t, 3)
  const [first, second] = await commands()
  await acknowledgements.take(clusterId, second!)
  t.same(await waiting(), [1, 3])
  await acknowledgements.take(clusterId, first!)
  t.same(await waiting(), [3])
  t.same(await acknowledgements.start(clusterId, 1), { resumed: true, nextSeq: 3, desired: undefined }, 'the oldest moved the place to go on from')
  t.same(await events('acknowledged'), { of: [1, 2], total: 2 })
  await acknowledge(3)
  await t.resolves(acknowledgements.take(clusterId, first!), 'again, with none waiting')
})

t.test('what a cluster should have is not told while a job on it cannot be understood', async t => {
  const { connection, acknowledgements, acknowledge, clusterId } = await withCommands(t, 2)
  await acknowledge(1)
  await connection.write(() => connection.prepare("UPDATE jobs SET doc = '{' WHERE id = (SELECT min(id) FROM jobs)").run())
  t.same(await acknowledgements.start(clusterId, undefined), { resumed: false, nextSeq: 2, desired: undefined })
})

t.test('a refusal settles its command alone, once', async t => {
  const { acknowledgements, clusterId, waiting, events } = await withCommands(t, 3)
  t.equal(await acknowledgements.refuse(clusterId, 2, 'no disk'), true)
  t.same(await waiting(), [1, 3])
  t.same(await events('refused'), { of: [2], total: 1 })
  t.equal(await acknowledgements.refuse(clusterId, 2, 'no disk'), false, 'it does not wait any more')
  t.equal(await acknowledgements.refuse(clusterId, 4, 'no disk'), false, 'it was never given out')
  t.same(await events('refused'), { of: [2], total: 1 })
})

t.test('an acknowledgement behind a refusal reaches no further for it', async t => {
  const { acknowledgements, acknowledge, clusterId, waiting, events } = await withCommands(t, 5)
  await acknowledgements.refuse(clusterId, 2, 'no disk')
  await acknowledge(3)
  t.same(await waiting(), [4, 5])
  t.same((await events('acknowledged')).of, [1, 3])
})

t.test('where a session goes on', async t => {
  const { acknowledgements, clusterId, waiting } = await withCommands(t, 5)
  t.same(await acknowledgements.start(clusterId, undefined), { resumed: false, nextSeq: 1, desired: undefined }, 'a new cluster')
  t.same(await acknowledgements.start(clusterId, 0), { resumed: true, nextSeq: 1, desired: undefined })
  t.same(await acknowledgements.start(clusterId, 2), { resumed: true, nextSeq: 3, desired: undefined })
  t.same(await waiting(), [3, 4, 5], 'its last_seq acknowledges')
  t.same(await acknowledgements.start(clusterId, 2), { resumed: true, nextSeq: 3, desired: undefined }, 'again')
  for (const [lastSeq, what] of [[undefined, 'it has forgotten'], [1, 'it is behind what it acknowledged'], [6, 'it is ahead of all']] as const) {
    const { desired, ...start } = await acknowledgements.start(clusterId, lastSeq)
    t.same(start, { resumed: false, nextSeq: 3 }, what)
    t.equal(desired?.length, 5, `${what}: it gets all that it should have`)
  }
  t.same(await acknowledgements.start(clusterId, 5), { resumed: true, nextSeq: 6, desired: undefined })
  t.same(await waiting(), [])
})
