import t from 'tap'
import { startDatabase } from '../../support/database.js'
import { yamlDescriptor } from '../../support/descriptor.js'
import { patience } from '../../support/waiting.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { startChannel, until } from './channel-server.js'
import { registerRoomy } from './peer.js'

/** Much comes at once, and the database takes its time: what the cluster says is understood in time nevertheless. */

/** As many commands as wait for an acknowledgement at most. */
const SERVICES = 64

/** Milliseconds that each statement takes: a database in another building. */
const DELAY_MS = 20

t.test(
  'a burst of services on a slow database: all run where they were placed, and what was said at once is taken at once',
  async t => {
    const database = await startMongoProxy(t, await startDatabase(t), { delayMs: DELAY_MS })
    const server = await startChannel(t, { MONGO_URI: database.uri, DEADLINE_SCHEDULED_S: patience(5) })
    const peer = await registerRoomy(t, server)
    const application = {
      method: 'POST',
      headers: { 'content-type': 'application/yaml' },
      body: Array.from({ length: SERVICES }, (_, n) => yamlDescriptor(`s${n}`)).join('\n---\n')
    }
    // On a busy machine the database may not answer in time: a user comes again.
    await until(async () => (await server.fetch('/api/v1/applications', application)).ok, 'the application')
    await until(() => peer.all('command').length === SERVICES, 'all commands')
    const commands = peer.all('command') as Array<{ seq: number; job_id: string }>

    const before =
      database.count('update', 'jobs') + database.count('find', 'jobs') + database.count('update', 'outbox')
    for (const { seq, job_id: id } of commands) {
      peer.send('ack', { seq })
      peer.send('result', {
        job_id: id,
        instances: [{ instance_number: 0, host_ip: '192.168.1.9', host_port: 50103 }]
      })
    }
    peer.send('information', {
      cpu_cores: 10_000,
      cumulative_memory_in_mb: 10_000_000,
      jobs: commands.map(({ job_id: id }) => ({ system_job_id: id, status: 'RUNNING' }))
    })
    const running = async () => {
      const { items } = (await server.json('/api/v1/jobs?status=RUNNING&limit=1000')) as { items: unknown[] }
      return items.length
    }
    await until(async () => (await running()) === SERVICES, 'all to run')
    const taken =
      database.count('update', 'jobs') + database.count('find', 'jobs') + database.count('update', 'outbox') - before
    t.comment(
      `${SERVICES} acks and results took ${taken} statements on jobs and outbox, those of loops and of looking included`
    )
    t.ok(taken < SERVICES, `${taken} statements for ${2 * SERVICES + 1} frames`)
    await until(async () => (await server.store.outbox.position(peer.id)).acked === SERVICES)
    const events = await Promise.all(commands.map(async ({ job_id: id }) => await server.events(id)))
    t.same(
      events.flat().filter(({ type }) => type === 'retried'),
      [],
      'none was tried elsewhere'
    )
    t.same(peer.all('error'), [])
  }
)

t.test('of what was said at once, each error is told for itself, and the rest counts', async t => {
  const database = await startMongoProxy(t, await startDatabase(t), { delayMs: DELAY_MS })
  const server = await startChannel(t, { MONGO_URI: database.uri })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  const { seq } = (await peer.next('command')) as { seq: number }
  // The first holds up the others.
  peer.send('information', {})
  peer.send('result', { job_id: '65b0c3f2a1d4e5f601234567', instances: [] })
  peer.send('ack', { seq: 99 })
  peer.send('ack', { seq })
  peer.send('information', { jobs: [{ system_job_id: id, status: 'FAILED' }] })
  peer.send('nonsense', {})
  peer.send('information', {
    jobs: [
      { system_job_id: id, status: 'RUNNING' },
      { system_job_id: id, status: 7 }
    ]
  })
  await until(async () => (await server.job(id)).status === 'RUNNING')
  await until(() => peer.all('error').length === 4)
  t.match(peer.all('error'), [
    { code: 'job_not_found', event: 'result' },
    { code: 'seq_unknown', event: 'ack' },
    { code: 'event_unknown', event: 'nonsense' },
    { code: 'heartbeat_entry_invalid', event: 'information' }
  ])
  await until(async () => (await server.store.outbox.position(peer.id)).acked === seq)
  const statuses = (await server.events(id)).filter(({ type }) => type === 'status').map(({ message }) => message)
  t.match(statuses, [/CLUSTER_SCHEDULED/, /FAILED/, /RUNNING/], 'in their order')
})

t.test('of what was said at once, what cannot be stored spoils nothing else', async t => {
  const database = await startMongoProxy(t, await startDatabase(t), { delayMs: DELAY_MS })
  const server = await startChannel(t, { MONGO_URI: database.uri, COMMAND_RESEND_S: 60 })
  const peer = await registerRoomy(t, server)
  const ids = [await server.deploy('a'), await server.deploy('b'), await server.deploy('c')]
  await until(() => peer.all('command').length === 3)
  const jobOf = new Map(
    (peer.all('command') as Array<{ seq: number; job_id: string }>).map(({ seq, job_id: id }) => [seq, id])
  )
  const [first, second, third] = [1, 2, 3].map(seq => jobOf.get(seq)!) as [string, string, string]
  t.same([first, second, third].sort(), ids.sort())
  await server.undeploy(second)
  const running = (...jobs: string[]) => jobs.map(id => ({ system_job_id: id, status: 'RUNNING' }))

  // The figures of the heartbeats, and the second job.
  database.fail({
    command: 'update',
    collection: 'clusters',
    when: command => JSON.stringify(command).includes('"active_nodes":7'),
    how: { error: 2 }
  })
  database.fail({
    command: 'update',
    collection: 'jobs',
    when: command => JSON.stringify(command).includes(second),
    how: { error: 2 }
  })
  peer.send('information', {})
  peer.send('ack', { seq: 1 })
  peer.send('information', { number_of_nodes: 7, jobs: running(first) })
  peer.send('result', { job_id: third, instances: [{ instance_number: 0, host_ip: '192.168.1.9' }] })
  await until(async () => (await server.store.outbox.position(peer.id)).acked === 1)
  await until(async () => (await server.job(third)).instance_list[0]!.host_ip === '192.168.1.9')
  await until(() => peer.all('error').length === 1)
  t.match(peer.all('error'), [{ code: 'store_unavailable', event: 'information' }])

  await until(() => peer.all('command').length === 4)
  peer.send('information', {})
  peer.send('ack', { seq: 4 })
  peer.send('information', { jobs: running(first, third) })
  for (const id of [first, third]) await until(async () => (await server.job(id)).status === 'RUNNING')
  await until(() => peer.all('error').length === 2)
  t.match(peer.all('error')[1], { code: 'store_unavailable', event: 'ack' })
  await until(
    async () => (await server.pending(peer.id)).join() === '2,4',
    'none but those of the job that cannot be stored to wait'
  )
  database.heal()
  peer.send('ack', { seq: 4 })
  await until(async () => (await server.job(second)).status === 'UNDEPLOYED')
  await until(async () => (await server.store.outbox.position(peer.id)).acked === 4)
})

t.test('what was said at once while the database fails counts for nothing, and each is told so', async t => {
  const database = await startMongoProxy(t, await startDatabase(t), { delayMs: DELAY_MS })
  const server = await startChannel(t, { MONGO_URI: database.uri, COMMAND_RESEND_S: 0.5 })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  const { seq } = (await peer.next('command')) as { seq: number }
  database.fail({ command: 'update', collection: 'jobs', how: { error: 14031 } })
  peer.send('ack', { seq })
  peer.send('information', { jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await until(() => peer.all('error').some(({ event }) => event === 'information'))
  t.match(
    peer.all('error').filter(({ event }) => event === 'information'),
    [{ code: 'store_unavailable' }]
  )
  database.heal()
  peer.send('information', { jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await until(async () => (await server.job(id)).status === 'RUNNING')
  await until(async () => (await server.store.outbox.position(peer.id)).acked === seq)
})
