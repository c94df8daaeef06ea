import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Cluster } from '../../../schemas/cluster.js'
import { createAcknowledgements } from '../../../services/cluster-channel/acknowledgements.js'
import { MAX_BACKLOG_BYTES } from '../../../services/cluster-channel/delivery.js'
import { startSession, type SessionContext } from '../../../services/cluster-channel/session.js'
import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import { createSessions } from '../../../services/cluster-channel/sessions.js'
import { createChannelStore } from '../../../stores/sqlite/channels.js'
import { createLeaseStore } from '../../../stores/sqlite/leases.js'
import { eventually } from '../../support/waiting.js'
import { openReports } from '../job-lifecycle/reports.js'
import { aCommand, aJob, on } from '../stores/samples.js'
import { aWhile } from './channel-server.js'
import { openPeer, openRaw } from './peer.js'

const HERE = 'here'
const THERE = 'there'

/** What answers wait for: those of the outbox to a delivery, those of the registry to a registration. */
interface Gates {
  /** How often the outbox was read for a delivery. */
  reads: number
  read?: Promise<void> | undefined
  register?: Promise<void> | undefined
}

/** A gate, and what opens it. */
function aGate () {
  let open!: () => void
  const gate = new Promise<void>(resolve => { open = resolve })
  return { gate, open }
}

/** Sessions on real sockets, over all that takes part in them but the server around. */
async function open (t: Test, more: Partial<SessionContext> = {}) {
  const { connection, clusters, jobs, outbox, registry, reports } = await openReports(t)
  const channels = createChannelStore(connection)
  const leases = createLeaseStore(connection)
  for (const holder of [HERE, THERE]) await leases.acquire(`process/${holder}`, holder, 60_000)
  const lease = { token: 1 as number | undefined, answeredSince: 100, held: async () => 1, renew () {} }
  const log: Array<{ level: string, message: string }> = []
  const write = (level: string) => (_details: object, message: string) => { log.push({ level, message }) }
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'), child: () => logger }
  const sessions = createSessions(
    channels,
    { holder: HERE, processLease: lease } as never,
    createLiveness(45_000),
    logger as never
  )
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const sockets: WebSocket[] = []
  const gates: Gates = { reads: 0 }
  server.on('connection', socket => {
    sockets.push(socket)
    startSession(socket, { address: '127.0.0.1', log: logger as never }, {
      registry: {
        ...registry,
        async register (...registration) {
          const cluster = await registry.register(...registration)
          await gates.register
          return cluster
        }
      },
      outbox: {
        ...outbox,
        async pending (id, page) {
          gates.reads++
          const commands = await outbox.pending(id, page)
          await gates.read
          return commands
        }
      },
      acknowledgements: createAcknowledgements(outbox, reports),
      sessions,
      mostBytes: async () => 2 ** 23,
      addressRefusal: async () => undefined,
      leaveToChannel: async () => {},
      registrationTimeoutMs: 20_000,
      heartbeatIntervalS: 15,
      pingIntervalMs: 60_000,
      resendMs: 60_000,
      ...more
    })
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `ws://127.0.0.1:${port}`
  return {
    port,
    /** The server's ends of all connections, in order. */
    sockets,
    gates,
    connection,
    clusters,
    outbox,
    channels,
    /** Puts commands into the outbox of a cluster, each with a document of this many bytes; wakes nobody. */
    async command (clusterId: string, count: number, bytes = 0) {
      const job = on(aJob(), clusterId)
      job.descriptor.environment = { FILLER: 'x'.repeat(bytes) }
      await jobs.commit([{ job, events: [], commands: Array.from({ length: count }, () => aCommand(job, clusterId)) }])
    },
    sessions,
    lease,
    log,
    async connect () {
      const peer = await openPeer(t, url)
      await peer.next('sc1')
      return peer
    },
    async registered () {
      const peer = await openPeer(t, url)
      await peer.next('sc1')
      peer.send('cs1', { cluster_name: 'hpi' })
      return { peer, id: (await peer.next('sc2')).id as string }
    }
  }
}

t.test('pongs before the registration are nobody\'s, those after it are signs of life', async t => {
  const { clusters, connect, registered } = await open(t, { pingIntervalMs: 20 })
  await connect()
  await aWhile(100)
  const { id } = await registered()
  const { last_modified_timestamp: at } = (await clusters.get(id))!
  await eventually(() => clusters.get(id), cluster => cluster!.last_modified_timestamp > at)
})

t.test('a sign of life that cannot be stored is logged, and ends nothing', async t => {
  const { connection, log, registered } = await open(t, { pingIntervalMs: 50 })
  const { peer } = await registered()
  await connection.close()
  await eventually(async () => log.at(-1), entry => entry?.message === 'a sign of life could not be stored')
  t.same(peer.all('error'), [])
})

t.test('a session that was ended does nothing more, however long its cluster takes to hang up', async t => {
  const { port, clusters, sessions, command, gates, log } = await open(t, { pingIntervalMs: 100 })
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await eventually(async () => gates.reads, reads => reads === 1)
  const [{ id }] = await clusters.list({ limit: 1 }) as [Cluster]
  sessions.remove(id)
  await command(id, 1)
  sessions.wake([id])
  await aWhile(500)
  t.equal(gates.reads, 1)
  t.notOk(log.some(({ message }) => message.startsWith('two pings')), 'nor is it pinged')
})

t.test('a pong behind our closing frame is no sign of life', async t => {
  const { port, clusters, sessions } = await open(t, { pingIntervalMs: 300 })
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: 'hpi' })
  await eventually(async () => peer.received(), bytes => bytes.includes('\x89\x00'))
  const [{ id }] = await clusters.list({ limit: 1 }) as [Cluster]
  sessions.remove(id)
  const before = (await clusters.get(id))!.last_modified_timestamp
  peer.send(10, '')
  await aWhile(100)
  t.equal((await clusters.get(id))!.last_modified_timestamp, before)
})

t.test('after its lease had run out, no frame counts before it is known that no newer session is elsewhere', async t => {
  const { clusters, channels, lease, registered } = await open(t)
  const { peer, id } = await registered()
  peer.send('nodes', { count: 2 })
  await eventually(() => clusters.get(id), cluster => cluster!.nodes === 2)
  await channels.claim(id, THERE)
  lease.answeredSince = 200
  peer.send('nodes', { count: 7 })
  t.match(await peer.closed, { code: 4001 })
  t.equal((await clusters.get(id))!.nodes, 2)
})

t.test('a cluster that hangs up while it registers leaves no channel behind', async t => {
  let letGo = () => {}
  const { clusters, channels, sessions, connect, log } = await open(t, { leaveToChannel: () => new Promise<void>(resolve => { letGo = resolve }) })
  const peer = await connect()
  peer.send('cs1', { cluster_name: 'hpi' })
  const [cluster] = await eventually(() => clusters.list({ limit: 1 }), all => all.length > 0)
  await eventually(async () => sessions.isConnected(cluster!.id), connected => connected)
  t.doesNotThrow(() => sessions.wake([cluster!.id]), 'commands that come meanwhile wait in the outbox')
  peer.close()
  await peer.closed
  await aWhile(50)
  t.equal(sessions.isConnected(cluster!.id), false)
  letGo()
  await sessions.ended()
  t.equal((await channels.current([cluster!.id])).size, 0)
  t.same(peer.all('sc2'), [])
  t.notOk(log.some(({ message }) => message === 'a cluster registered'), 'nothing is delivered to nobody')
})

t.test('what waits behind the end of a session does not count', async t => {
  const { clusters, sessions, log, registered } = await open(t)
  const { peer, id } = await registered()
  for (let count = 1; count <= 50; count++) peer.send('nodes', { count })
  await eventually(() => clusters.get(id), cluster => cluster!.nodes > 0)
  sessions.remove(id)
  sessions.remove(id)
  t.match(await peer.closed, { code: 4004, reason: 'cluster_removed' })
  t.equal(log.filter(({ message }) => message === 'a cluster got an error').length, 1, 'it is told once')
  const { nodes } = (await clusters.get(id))!
  await aWhile(50)
  t.equal((await clusters.get(id))!.nodes, nodes)
  await sessions.ended()
  t.equal(sessions.open(), 0)
})

t.test('what a cluster did wrong is told to it; what failed here is logged too', async t => {
  const { connection, command, log, registered } = await open(t)
  const errors = () => log.filter(({ level }) => level === 'error').map(({ message }) => message)
  const { peer, id } = await registered()
  peer.send('result', { job_id: '65a1b2c3d4e5f60718293a4b', instances: [] })
  t.match(await peer.next('error'), { code: 'job_not_found', event: 'result' })
  t.same(errors(), [])
  await command(id, 1)
  const [broken] = await connection.write(() => connection.prepare<{ id: string }>("UPDATE jobs SET doc = '{' RETURNING id").all())
  peer.send('result', { job_id: broken!.id, instances: [] })
  t.match(await peer.next('error'), { code: 'job_unreadable', event: 'result' })
  t.same(errors(), ['a frame could not be handled'])
  await connection.close()
  peer.send('nodes', { count: 1 })
  t.match(await peer.next('error'), { code: 'shutting_down', event: 'nodes' })
  t.equal(errors().length, 2)
})

t.test('who never registers is seen when debugging only, a cluster that goes is logged', async t => {
  const { log, connect, registered } = await open(t)
  const closings = () => log.filter(({ message }) => message === 'the channel closed').map(({ level }) => level)
  const stranger = await connect()
  stranger.close()
  await eventually(async () => closings(), found => found.length === 1)
  const { peer } = await registered()
  peer.close()
  await eventually(async () => closings(), found => found.length === 2)
  t.same(closings(), ['debug', 'info'])
})

t.test('a cluster that does not read gets no complaints that pile up, and all of its commands once it reads', async t => {
  const { port, sockets, clusters, command, registered } = await open(t)
  const { peer, id } = await registered()
  peer.close()
  await peer.closed
  await command(id, 64, 200_000)
  const slow = await openRaw(t, port)
  slow.socket.pause()
  slow.event('cs1', { cluster_name: 'hpi' })
  const backlog = () => sockets[1]?.bufferedAmount ?? 0
  await eventually(async () => backlog(), bytes => bytes > MAX_BACKLOG_BYTES)
  await aWhile(200)
  const before = backlog()
  for (let count = 1; count <= 5; count++) slow.send(1, 'bad')
  slow.event('nodes', { count: 3 })
  await eventually(() => clusters.get(id), cluster => cluster!.nodes === 3)
  t.equal(backlog(), before)
  slow.socket.resume()
  await eventually(async () => slow.received().match(/"event":"command"/g)?.length, count => count === 64)
})

t.test('a session has not ended while its outbox is being read', async t => {
  const { gates, sessions, command, registered } = await open(t)
  const { gate, open: letGo } = aGate()
  gates.read = gate
  const { peer, id } = await registered()
  await command(id, 1)
  peer.close()
  await peer.closed
  await eventually(async () => sessions.isConnected(id), connected => !connected)
  let isOver = false
  const ended = sessions.ended().then(() => { isOver = true })
  await aWhile(50)
  t.equal(isOver, false)
  letGo()
  await ended
  t.same(peer.all('command'), [])
})

t.test('a cluster that registers again on its channel gets each command once', async t => {
  const { gates, command, registered } = await open(t)
  const { peer, id } = await registered()
  await command(id, 1)
  peer.close()
  await peer.closed
  const { gate, open: letGo } = aGate()
  gates.read = gate
  const { peer: again } = await registered()
  again.send('cs1', { cluster_name: 'hpi' })
  await aWhile(100)
  t.same(again.frames.map(({ event }) => event), ['sc1', 'sc2'], 'the read that is held up comes first')
  letGo()
  await again.next('sc2')
  await again.next('command')
  await aWhile(100)
  t.same(again.frames.map(({ event }) => event), ['sc1', 'sc2', 'sc2', 'command'])
})

t.test('a cluster that hung up before it was registered takes the channel from nobody', async t => {
  const { gates, clusters, channels, sessions, connect } = await open(t)
  const { gate, open: letGo } = aGate()
  gates.register = gate
  const peer = await connect()
  peer.send('cs1', { cluster_name: 'hpi' })
  const [cluster] = await eventually(() => clusters.list({ limit: 1 }), all => all.length > 0)
  peer.close()
  await peer.closed
  const claim = await channels.claim(cluster!.id, THERE)
  letGo()
  await sessions.ended()
  t.same([...await channels.current([cluster!.id])].map(([, held]) => held), [{ holder: THERE, claim }])
  t.equal(await channels.claim(cluster!.id, THERE), claim + 1, 'nothing was claimed in between')
})

t.test('what a cluster answers counts even when its registration failed half way', async t => {
  const { clusters, outbox, command, connect, log } = await open(t, { leaveToChannel: async () => { throw new Error('no') } })
  const peer = await connect()
  peer.send('cs1', { cluster_name: 'hpi' })
  t.match(await peer.next('error'), { event: 'cs1' })
  const [{ id }] = await clusters.list({ limit: 1 }) as [Cluster]
  await command(id, 2)
  peer.send('ack', { seq: 1 })
  peer.send('nack', { seq: 2, error: 'no disk' })
  await eventually(() => outbox.pending(id, { after: 0, limit: 9 }), commands => commands.length === 0)
  t.same(log.filter(({ level }) => level === 'error').map(({ message }) => message), ['a frame could not be handled'], 'the first alone')
})
