import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MongoClient } from 'mongodb'
import t, { type Test } from 'tap'
import { createClient } from '../../../stores/mongodb/client.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import type { Store } from '../../../stores/store.js'
import { withOption, startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { eventually } from '../../support/waiting.js'
import { keptLog, loopsWith } from './mongo-store.js'

interface Connection {
  socket: Socket
}

/** What of the driver has to be touched, so that a connection ends just before it is written to. */
interface Driven {
  monitor: { connection: Connection; requestCheck(): void; s: { state: string } }
  pool: { connections: Iterable<Connection> }
}

const insideOf = (client: MongoClient): Driven => {
  const { topology } = client as unknown as { topology: { s: { servers: Map<string, Driven> } } }
  return [...topology.s.servers.values()][0]!
}

async function openBehindProxy (t: Test, options: string[]) {
  const proxy = await startMongoProxy(t, await startDatabase(t))
  const client = createClient(options.reduce(withOption, proxy.uri))
  const log = keptLog()
  const store = await openMongoStore({ client, waitMs: 20_000, startLoop: loopsWith(log), log })
  t.teardown(() => store.close())
  return { proxy, client, store }
}

const answers = async (store: Store): Promise<boolean> =>
  await store.check().then(
    () => true,
    () => false
  )

t.test('a driver that looks for its server no more is opened anew', async t => {
  const { proxy, client, store } = await openBehindProxy(t, ['connectTimeoutMS=300', 'heartbeatFrequencyMS=500'])
  const { monitor } = insideOf(client)
  // Between two looks, and not so soon after the last one that the driver puts it off.
  await once(client, 'serverHeartbeatSucceeded')
  await sleep(200)
  monitor.connection.socket.destroy()
  monitor.requestCheck()
  t.equal(monitor.s.state, 'monitoring', 'it waits for what does not come')
  proxy.refuse()
  await t.rejects(store.check(), { code: 'store_unavailable' })
  proxy.heal()
  await eventually(() => answers(store), Boolean, 20_000)
  t.equal((await store.clusters.list({})).length, 0, 'what has the collections goes on with them')
  t.not(insideOf(client).monitor, monitor)
})

t.test('a client that closes late, after it was opened anew, is opened once more', async t => {
  const { client, store } = await openBehindProxy(t, [])
  await client.close()
  await t.rejects(store.check(), { code: 'store_unavailable' })
  await eventually(() => answers(store), Boolean)
})

t.test('connections that the driver has lost come back', async t => {
  const { client, store } = await openBehindProxy(t, ['maxPoolSize=4'])
  await eventually(
    async () => {
      await Promise.all(Array.from({ length: 8 }, () => store.check()))
      return [...insideOf(client).pool.connections].length
    },
    length => length === 4
  )
  for (const { socket } of insideOf(client).pool.connections) socket.destroy()
  const lost = await Promise.allSettled(Array.from({ length: 4 }, () => store.check()))
  t.same(
    lost.map(({ status }) => status),
    Array(4).fill('rejected')
  )
  await eventually(() => answers(store), Boolean, 30_000)
  t.equal((await Promise.all(Array.from({ length: 8 }, () => answers(store)))).every(Boolean), true)
})

t.test('what a socket says when it has ended is an outage of the database', async t => {
  const { client, store } = await openBehindProxy(t, ['maxPoolSize=1'])
  await store.check()
  for (const { socket } of insideOf(client).pool.connections) socket.end()
  await t.rejects(store.check(), { code: 'store_unavailable', cause: { code: /^(?:EPIPE|ERR_STREAM_)/ } })
  await eventually(() => answers(store), Boolean)
})
