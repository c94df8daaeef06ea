import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import type { Store } from '../../../stores/store.js'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { register } from '../channel/peer.js'
import { registerOverSocketIo, startClusterManager } from './cluster-manager.js'

/** Two System Managers on one store, in one process: each hears of the other by `notifications` alone, where the test wants it to. */
async function two (t: Test, { notifications = true } = {}): Promise<[ChannelServer, ChannelServer]> {
  const shared = await openSqliteStore({ file: join(t.testdir(), 'shared.db') })
  t.teardown(() => shared.close())
  const stores = [0, 1].map((): Store => ({ ...shared, notifications: new EventEmitter() }))
  for (const [from, to] of notifications ? [[0, 1], [1, 0]] as const : []) {
    const { channels, jobs } = shared
    stores[from]!.channels = { ...channels, claim: async (id, holder) => told(await channels.claim(id, holder), () => stores[to]!.notifications.emit('claims', [id])) }
    stores[from]!.jobs = {
      ...jobs,
      commit: async changes => told(await jobs.commit(changes), () => stores[to]!.notifications.emit('commands', changes.flatMap(({ commands }) => commands.map(command => command.cluster_id))))
    }
  }
  const servers = [await startChannel(t, { store: stores[0]! }), await startChannel(t, { store: stores[1]! })] as const
  return [...servers]
}

function told<T> (outcome: T, tell: () => void): T {
  tell()
  return outcome
}

t.test('a newer session in another process replaces the older one, whose end changes nothing', async t => {
  const [a, b] = await two(t)
  const older = await register(t, a.url)
  t.same(await b.app.clusterChannel.connected([older.id]), new Set([older.id]), 'seen by the other')
  const newer = await register(t, b.url)
  t.equal(newer.id, older.id)
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
  await until(() => !a.app.clusterChannel.isConnected(older.id))
  await aWhile()
  t.equal(b.app.clusterChannel.isConnected(newer.id), true)
  for (const { app } of [a, b]) t.same(await app.clusterChannel.connected([newer.id]), new Set([newer.id]))
  newer.close()
  await until(async () => (await a.app.clusterChannel.connected([newer.id])).size === 0, 'the end to be seen by the other')
})

t.test('commands that one process writes are delivered by the one with the channel', async t => {
  const [a, b] = await two(t)
  const peer = await register(t, a.url)
  await b.command(peer.id, ['deploy', 'replicate'])
  t.match([(await peer.next('command')).seq, (await peer.next('command')).seq], [1, 2])
})

t.test('only one of two processes pushes, none to a cluster whose channel is with the other, and the other takes over', async t => {
  const [a, b] = await two(t)
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(b.port, { cluster_name: 'tum', manager_port: manager.port })
  await Promise.all([a, b].flatMap(server => Array.from({ length: 20 }, () => server.command(id, ['deploy']))))
  await until(async () => (await a.app.store.outbox.pending(id, { after: 0, limit: 1 })).length === 0, 'the outbox to be empty')
  t.equal(manager.calls.length, 40)

  const peer = await register(t, b.url, { cluster_name: 'tum', manager_port: manager.port, advertise_address: '127.0.0.1', last_seq: 40 })
  await a.command(id, ['deploy'])
  await peer.next('command')
  peer.send('ack', { seq: 41 })
  peer.close()
  await until(async () => (await a.app.clusterChannel.connected([id])).size === 0)
  t.equal(manager.calls.length, 40)

  await a.app.close()
  await b.command(id, ['deploy'])
  await until(() => manager.calls.length === 41, 'the other to push')
})

t.test('notifications that got lost is made up for', async t => {
  const [a, b] = await two(t, { notifications: false })
  const older = await register(t, a.url)
  await register(t, b.url)
  t.same(await older.closed, { code: 4001, reason: 'session_replaced' })
})
