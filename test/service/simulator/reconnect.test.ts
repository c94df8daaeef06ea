import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startSimulatedCluster, type ClusterOptions } from '../../../simulator/cluster.js'
import { openSession } from '../../../simulator/session.js'
import { within } from '../../support/waiting.js'
import { command, CLUSTER_ID, JOB_ID, jobDocument, OTHER_CLUSTER_ID, startSystemManager, type Connection } from './system-manager.js'

const SECOND_JOB = 'a'.repeat(24)

type Sc2 = Parameters<typeof startSystemManager>[0]

function start (t: Test, url: string, more: Partial<ClusterOptions> = {}) {
  const cluster = startSimulatedCluster({
    url,
    name: 'hpi',
    workers: [{ name: 'one', cores: 2, memoryMb: 1000 }],
    delays: { createMs: 10, startMs: 10 },
    backoff: { firstMs: 20, longestMs: 50 },
    ...more
  })
  t.teardown(() => cluster.stop())
  return cluster
}

async function setUp (t: Test, more: Partial<ClusterOptions> = {}, sc2: Sc2 = {}) {
  const manager = await startSystemManager(sc2)
  t.teardown(() => manager.close())
  const cluster = start(t, manager.url, more)
  return { manager, cluster, channel: await manager.registration() }
}

t.test('after a lost connection the cluster registers again with its last_seq', async t => {
  const { manager, cluster, channel } = await setUp(t)
  channel.send('command', command(7, 'deploy', { job: jobDocument() }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  cluster.dropConnection()
  t.equal(await channel.closed(), 1006, 'there was no close frame')

  const again = await manager.registration()
  t.equal(again.cs1.last_seq, 7)
  await again.heartbeat(JOB_ID, 'RUNNING')
  t.match(await again.next('result'), { job_id: JOB_ID }, 'what may have been lost on the way is told again')
  again.send('command', command(8, 'delete'))
  t.strictSame(await again.next('ack'), { seq: 8 })
})

t.test('a refusal that was lost with the connection is sent again', async t => {
  const { manager, cluster, channel } = await setUp(t)
  const refused = command(2, 'deploy', { job: jobDocument({ node: 'nowhere' }) })
  channel.send('command', command(1, 'delete'))
  channel.send('command', refused)
  channel.send('command', command(3, 'delete'))
  await channel.next('ack', ({ seq }) => seq === 3)
  cluster.dropConnection()
  const again = await manager.registration()
  t.equal(again.cs1.last_seq, 1, 'last_seq acknowledges, and must not acknowledge what was refused')
  again.send('command', refused)
  again.send('command', command(3, 'delete'))
  t.strictSame(await again.next('nack'), { seq: 2, error: 'NO_NODE_FOUND' })
  t.strictSame(await again.next('ack'), { seq: 3 })
})

t.test('however the System Manager ends a connection, the cluster comes back', async t => {
  const { manager, channel } = await setUp(t)
  const ends: Array<(connection: Connection) => void> = [
    connection => connection.terminate(),
    connection => connection.close(1012),
    connection => connection.close(4001)
  ]
  let connection = channel
  for (const end of ends) {
    end(connection)
    connection = await manager.registration()
  }
  await connection.next('information')
})

t.test('a cluster waits for a System Manager that is not there yet, with growing pauses', async t => {
  const first = await startSystemManager()
  await first.close()
  const cluster = start(t, first.url, { backoff: { firstMs: 40, longestMs: 100 } })
  const lost: Array<{ at: number, reason: string }> = []
  await new Promise<void>(resolve => cluster.events.on('lost', reason => {
    lost.push({ at: Date.now(), reason })
    if (lost.length === 6) resolve()
  }))
  t.match(lost[0]?.reason, /ECONNREFUSED/)
  const pauses = lost.slice(1).map(({ at }, index) => at - (lost[index]?.at ?? 0))
  t.ok(pauses[0]! >= 18, `the first is at least half of firstMs: ${pauses}`)
  t.ok(pauses.slice(2).every(pause => pause >= 48), `the later ones are at least half of longestMs: ${pauses}`)
})

t.test('resync brings the cluster to exactly the given jobs', async t => {
  const { cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument({ requirements: { cpu: 2 } }) }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  const tooBig = jobDocument({ id: 'b'.repeat(24), requirements: { cpu: 9 } })
  channel.send('resync', { next_seq: 30, jobs: [jobDocument({ id: SECOND_JOB, requirements: { cpu: 2 } }), tooBig] })
  t.strictSame(await channel.next('ack'), { seq: 29 })
  const { jobs } = await channel.heartbeat(SECOND_JOB, 'RUNNING')
  t.strictSame(jobs, [
    { system_job_id: SECOND_JOB, status: 'RUNNING', instances: [{ instance_number: 0, status: 'RUNNING' }] },
    { system_job_id: 'b'.repeat(24), status: 'NO_WORKER_CAPACITY' }
  ], 'the heartbeat tells what cannot be placed, since nobody asked by a command')
  t.equal(cluster.running().length, 2)

  channel.send('command', command(30, 'delete', { job_id: SECOND_JOB }))
  t.strictSame(await channel.next('ack'), { seq: 30 })
  channel.send('resync', { next_seq: 1, jobs: [] })
  await channel.next('ack')
  t.strictSame(cluster.running(), [])
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  t.strictSame(await channel.next('ack'), { seq: 1 }, 'numbers begin anew with a System Manager that has lost its own')
  await channel.heartbeat(JOB_ID, 'RUNNING')
})

t.test('a cluster whose id has changed runs what is placed on the new id', async t => {
  const { manager, cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  await manager.close()
  const other = await startSystemManager({ id: OTHER_CLUSTER_ID }, Number(new URL(manager.url).port))
  t.teardown(() => other.close())
  const again = await other.registration()
  again.send('resync', { next_seq: 1, jobs: [jobDocument(), jobDocument({ id: SECOND_JOB, cluster: OTHER_CLUSTER_ID })] })
  await again.heartbeat(SECOND_JOB, 'RUNNING')
  t.strictSame(cluster.running().map(job => job.job_id), [SECOND_JOB])
})

t.test('a killed cluster leaves without a close frame, a stopped one with it', async t => {
  const { manager, cluster, channel } = await setUp(t)
  await cluster.kill()
  t.equal(await channel.closed(), 1006)
  const second = start(t, manager.url)
  const connection = await manager.registration()
  await second.stop()
  t.equal(await connection.closed(), 1000)
})

t.test('with a state file a killed cluster goes on where it was', async t => {
  const stateFile = join(t.testdir(), 'state.json')
  const { manager, cluster, channel } = await setUp(t, { stateFile, delays: { createMs: 60_000, startMs: 60_000 } })
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  channel.send('command', command(2, 'deploy', { job_id: SECOND_JOB, job: jobDocument({ id: SECOND_JOB, node: 'nowhere' }) }))
  await channel.next('nack')
  const before = cluster.running()
  await cluster.kill()

  const restarted = start(t, manager.url, { stateFile })
  const again = await manager.registration()
  t.equal(again.cs1.last_seq, 1)
  t.equal(restarted.id, CLUSTER_ID)
  await again.heartbeat(JOB_ID, 'RUNNING')
  t.match(restarted.running(), [{ job_id: JOB_ID, instances: [{ namespace_ip: before[0]?.instances[0]?.namespace_ip }] }])
  again.send('command', command(2, 'deploy', { job_id: SECOND_JOB, job: jobDocument({ id: SECOND_JOB, node: 'nowhere' }) }))
  t.strictSame(await again.next('nack'), { seq: 2, error: 'NO_NODE_FOUND' }, 'what was refused stays refused')
  again.send('command', command(1, 'deploy', { job: jobDocument() }))
  t.strictSame(await again.next('ack'), { seq: 1 })
  t.match(restarted.running(), [{ job_id: JOB_ID, status: 'RUNNING' }], 'nothing was started again')
  await restarted.stop()
})

t.test('a state file that is none is refused by name', async t => {
  const stateFile = join(t.testdir(), 'state.json')
  writeFileSync(stateFile, '{"jobs": 1}')
  t.throws(() => startSimulatedCluster({ url: 'ws://127.0.0.1:1', name: 'hpi', workers: [], stateFile }), /state\.json does not hold/)
})

t.test('a cluster can be stopped at any moment, also while its connection is being opened or cut', async t => {
  const server = createServer(socket => {
    socket.on('error', () => {})
    setTimeout(() => socket.destroy(), Math.random() * 6)
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/register`
  for (let n = 0; n < 60; n++) {
    const session = openSession({
      url,
      present: () => ({ cluster_name: 'hpi' }),
      backoff: { firstMs: 1, longestMs: 5 }
    })
    await sleep(Math.random() * 30)
    await within(session.end(n % 2 === 0 ? 'gracefully' : 'abruptly'), `the end of session ${n}`)
  }
  t.pass('all ended')
})
