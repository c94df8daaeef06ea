import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import t, { type Test } from 'tap'
import type { ClusterId } from '../../../schemas/cluster.js'
import { createSessions, type Session } from '../../../services/cluster-channel/sessions.js'
import { startSweeps } from '../../../services/cluster-channel/sweep.js'
import type { OutboxStore, Store } from '../../../stores/store.js'
import { eventually } from '../../support/waiting.js'
import { aWhile } from './channel-server.js'
import { keptLog, loopsWith } from '../stores/mongo-store.js'
import { aCommand, aJob, on, registered } from '../stores/samples.js'
import { openFile } from '../stores/sqlite-store.js'

const HERE = 'here'
const THERE = 'there'

/** Clusters of which each has a command that waits, in order of their ids. */
async function withCommands (store: Store, count: number): Promise<ClusterId[]> {
  const clusters = await Promise.all(Array.from({ length: count }, () => registered(store)))
  const ids = clusters.map(({ id }) => id).sort()
  await Promise.all(ids.map(id => {
    const job = on(aJob(), id)
    return store.jobs.commit([{ job, events: [], commands: [aCommand(job, id)] }])
  }))
  return ids
}

/** Sweeps over a real store. Those whom they wake are written down; a round is over when the next one begins. */
async function open (t: Test, count: number) {
  const { store } = await openFile(t)
  for (const holder of [HERE, THERE]) await store.leases.acquire(`process/${holder}`, holder, 60_000)
  const ids = await withCommands(store, count)
  const log = keptLog()
  const lease = { token: 1, answeredSince: 100, held: async () => 1, renew () {} }
  const sessions = createSessions(
    store.channels,
    { holder: HERE, processLease: lease } as never,
    createLiveness(45_000),
    log as never
  )
  const woken: ClusterId[] = []
  const pushed: ClusterId[] = []
  const counts = { pushes: 0 }
  const pages: Array<[string | undefined, number]> = []
  const outbox: OutboxStore = {
    ...store.outbox,
    clusters (page) {
      pages.push([page.after, page.limit])
      return store.outbox.clusters(page)
    }
  }
  return {
    store,
    ids,
    log,
    woken,
    pushed,
    counts,
    pages,
    /** Opens a session here for a cluster. */
    async connected (id: ClusterId) {
      const session = {
        clusterId: id,
        isOpen: true,
        ended: new Promise<void>(() => {}),
        wake: () => {
          woken.push(id)
        },
        answers: async () => false,
        tell () {},
        end () {
          session.isOpen = false
        }
      }
      sessions.add(session satisfies Session)
      await sessions.claim(id, session)
      return session
    },
    start () {
      const push = {
        wake (page: ClusterId[]) {
          counts.pushes++
          pushed.push(...page)
        },
        hurry () {},
        leave: async () => {},
        stop: async () => {}
      }
      const loops = startSweeps({ outbox, channels: store.channels, lease, sessions, push, everyMs: 60_000, startLoop: loopsWith(log) })
      t.teardown(async () => { await Promise.all([loops.channels.stop(), loops.push.stop()]) })
      return loops
    }
  }
}

t.test('every cluster whose commands wait is woken where its session is, 500 at a time', async t => {
  const { ids, woken, pushed, pages, connected, start } = await open(t, 501)
  const [first, last] = [ids[0]!, ids.at(-1)!]
  for (const id of [first, last]) await connected(id)
  const { channels, push } = start()
  await eventually(async () => woken.length + pushed.length, count => count === 501)
  t.same(woken, [first, last])
  t.same(pushed, ids.slice(1, -1), 'HTTP push leaves those to their channels')
  t.same(pages.filter(([after]) => after === undefined), [[undefined, 500], [undefined, 500]])
  t.same(pages.filter(([after]) => after !== undefined), [[ids[499], 500], [ids[499], 500]])
  t.same([channels!.name, push!.name], ['channel sweep', 'http-push sweep'])
})

t.test('500 clusters are one page, and a look for more', async t => {
  const { ids, pushed, pages, start } = await open(t, 500)
  start()
  await eventually(async () => pushed.length, count => count === 500)
  await eventually(async () => pages.length, count => count === 4)
  t.same(pushed, ids)
})

t.test('with an empty outbox nobody is woken', async t => {
  const { woken, counts, pages, start, log } = await open(t, 0)
  start()
  await eventually(async () => pages.length, count => count === 2)
  await aWhile(50)
  t.same(woken, [])
  t.equal(counts.pushes, 0)
  t.same(log.errors, [])
})

t.test('a session whose channel was claimed elsewhere is closed, though no notification said so', async t => {
  const { store, ids, connected, start } = await open(t, 2)
  const [lost, kept] = [await connected(ids[0]!), await connected(ids[1]!)]
  await store.channels.claim(ids[0]!, THERE)
  start()
  await eventually(async () => lost.isOpen, isOpen => !isOpen)
  t.equal(kept.isOpen, true)
})
