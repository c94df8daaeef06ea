import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import t, { type Test } from 'tap'
import type { Lease } from '../../../plugins/leases.js'
import { createSessions, type Session } from '../../../services/cluster-channel/sessions.js'
import type { ChannelStore } from '../../../stores/store.js'
import { openFile } from '../stores/sqlite-store.js'
import { registered } from '../stores/samples.js'
import { keptLog } from '../stores/mongo-store.js'

const HERE = 'here'
const THERE = 'there'

/** A session without a socket: what the others do to it is written down. */
function aSession (clusterId?: string) {
  let end!: () => void
  const ended = new Promise<void>(resolve => { end = resolve })
  const session = {
    clusterId,
    isOpen: true,
    wakes: 0,
    ends: [] as Array<[number, string]>,
    wake () { session.wakes++ },
    end (closeCode: number, { code }: { code: string }) {
      session.isOpen = false
      session.ends.push([closeCode, code])
    },
    ended
  }
  return { session: session as typeof session & Session, end }
}

async function open (t: Test) {
  const { store } = await openFile(t)
  const lease = {
    token: 1 as number | undefined,
    answeredSince: 100 as number | undefined,
    held: async () => 1,
    renew () {}
  }
  const log = keptLog()
  /** Of how many clusters claims were read, read by read. */
  const reads: number[] = []
  const gates: { claim?: Promise<void> | undefined } = {}
  const channels: ChannelStore = {
    ...store.channels,
    async claim (...claim) {
      const { claim: gate } = gates
      const number = await store.channels.claim(...claim)
      await gate
      return number
    },
    current (ids) {
      reads.push(ids.length)
      return store.channels.current(ids)
    }
  }
  const sessions = createSessions(
    channels,
    { holder: HERE, processLease: lease satisfies Lease } as never,
    createLiveness(45_000),
    log as never
  )
  // Only what a process that lives has claimed counts.
  for (const holder of [HERE, THERE]) await store.leases.acquire(`process/${holder}`, holder, 60_000)
  const { id } = await registered(store)
  const holders = async () => [...await store.channels.current([id])].map(([, { holder }]) => holder)
  /** A session of this process speaks for the cluster. */
  async function claimed (clusterId = id) {
    const opened = aSession(clusterId)
    sessions.add(opened.session)
    await sessions.claim(clusterId, opened.session)
    return opened
  }
  return { store, sessions, lease, log, id, holders, claimed, reads, gates }
}

t.test('the newest session speaks for its cluster, an older one is closed, and its late end takes nothing away', async t => {
  const { sessions, id, claimed, holders } = await open(t)
  t.equal(sessions.isConnected(id), false)
  t.equal(sessions.open(), 0)
  const older = await claimed()
  t.equal(sessions.isConnected(id), true)
  t.equal(sessions.open(), 1)
  t.same(await holders(), [HERE])
  const newer = await claimed()
  t.same(older.session.ends, [[4001, 'session_replaced']])
  t.same(newer.session.ends, [])
  older.end()
  await older.session.ended
  await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(sessions.isConnected(id), true)
  t.same(await holders(), [HERE])
  sessions.wake([id, 'another'])
  t.same([older.session.wakes, newer.session.wakes], [0, 1])
  newer.end()
  newer.session.end(1000, { code: 'closed' } as never)
  await sessions.ended()
  t.equal(sessions.isConnected(id), false)
  t.equal(sessions.open(), 0)
  t.same(await holders(), [], 'its channel is given back')
})

t.test('of two that claim at once the one whose claim is newer speaks, whichever hears of it first', async t => {
  const { sessions, id, claimed, gates } = await open(t)
  const [older, newer] = [aSession(id), aSession(id)]
  let letGo = () => {}
  gates.claim = new Promise(resolve => { letGo = resolve })
  const claiming = sessions.claim(id, older.session)
  gates.claim = undefined
  await sessions.claim(id, newer.session)
  letGo()
  await claiming
  t.same(older.session.ends, [[4001, 'session_replaced']])
  t.same(newer.session.ends, [])
  sessions.wake([id])
  t.same([older.session.wakes, newer.session.wakes], [0, 1])
  await claimed()
  t.same(newer.session.ends, [[4001, 'session_replaced']])
})

t.test('a session that registers again keeps its place', async t => {
  const { sessions, id, claimed } = await open(t)
  const { session } = await claimed()
  await sessions.claim(id, session)
  t.same(session.ends, [])
  t.equal(sessions.isConnected(id), true)
})

t.test('a session that closed while its claim was stored gives the channel back', async t => {
  const { sessions, id, holders } = await open(t)
  const { session } = aSession(id)
  const claiming = sessions.claim(id, session)
  session.isOpen = false
  await claiming
  t.same(await holders(), [])
  t.equal(sessions.isConnected(id), false)
})

t.test('the session of a deleted cluster is closed', async t => {
  const { sessions, id, claimed } = await open(t)
  const { session } = await claimed()
  sessions.remove('another')
  t.same(session.ends, [])
  sessions.remove(id)
  t.same(session.ends, [[4004, 'cluster_removed']])
  t.equal(sessions.open(), 0, 'though its socket is there still')
})

t.test('sessions whose cluster has a newer one in another process are closed, the others stay', async t => {
  const { store, sessions, id, claimed } = await open(t)
  const { session } = await claimed()
  const other = await registered(store)
  const { session: untouched } = await claimed(other.id)
  await sessions.yieldToNewer()
  t.same(session.ends, [], 'its own claim is the newest')
  await store.channels.claim(id, THERE)
  await sessions.yieldToNewer([other.id])
  t.same(session.ends, [], 'of these clusters alone')
  await sessions.yieldToNewer([id, 'unknown'])
  t.same(session.ends, [[4001, 'session_replaced']])
  await sessions.yieldToNewer()
  t.same(untouched.ends, [])
})

t.test('claims are read of clusters with a session here only, 500 at a time', async t => {
  const { store, sessions, id, claimed, reads } = await open(t)
  await sessions.yieldToNewer([id])
  t.same(reads, [], 'none has a session here')
  const others = await Promise.all(Array.from({ length: 500 }, () => registered(store)))
  await Promise.all([id, ...others.map(other => other.id)].map(claimed))
  await sessions.yieldToNewer()
  t.same(reads.splice(0), [500, 1])
  await sessions.yieldToNewer([others[3]!.id, 'unknown'])
  t.same(reads, [1])
})

t.test('a frame counts at once while the lease of the process was never in doubt, else after a look for newer sessions', async t => {
  const { store, sessions, lease, id, claimed } = await open(t)
  const { session } = await claimed()
  const first = sessions.confirm()
  t.ok(first instanceof Promise, 'nothing is confirmed yet')
  t.equal(sessions.confirm(), first, 'one look for all who ask')
  await first
  t.equal(sessions.confirm(), undefined)
  t.same(session.ends, [])

  await store.channels.claim(id, THERE)
  lease.token = undefined
  await sessions.confirm()
  t.same(session.ends, [[4001, 'session_replaced']], 'the lease had run out')
  t.ok(sessions.confirm() instanceof Promise, 'each time, while it has')
  lease.token = 2
  t.equal(sessions.confirm(), undefined, 'confirmed since the store answers')
  lease.answeredSince = 200
  const { session: back } = await claimed()
  await store.channels.claim(id, THERE)
  await sessions.confirm()
  t.same(back.ends, [[4001, 'session_replaced']], 'the store was silent in between')
  t.equal(sessions.confirm(), undefined)
})

t.test('a look that fails is made again, and an end that cannot be stored is logged', async t => {
  const { store, sessions, log, claimed } = await open(t)
  const { end } = await claimed()
  await store.close()
  await t.rejects(sessions.confirm()!)
  await t.rejects(sessions.confirm()!)
  end()
  await sessions.ended()
  t.same(log.warnings, ['the end of a channel could not be stored'])
})

t.test('a session that ends while claims are read is passed over', async t => {
  const { store, sessions, id, claimed } = await open(t)
  const { session, end } = await claimed()
  await store.channels.claim(id, THERE)
  end()
  await t.resolves(sessions.yieldToNewer())
  await sessions.ended()
  t.equal(sessions.open(), 0)
  t.same(session.ends, [])
})

t.test('a session that never registered ends without a claim', async t => {
  const { store, sessions } = await open(t)
  const { session, end } = aSession()
  sessions.add(session)
  end()
  await sessions.ended()
  t.same([...await store.channels.current(['undefined'])], [])
})
