import t, { type Test } from 'tap'
import { startSimulatedCluster, type ClusterOptions } from '../../../simulator/cluster.js'
import { command, CLUSTER_ID, JOB_ID, jobDocument, startSystemManager } from './system-manager.js'

/** A System Manager and a registered cluster of two workers with 2 cores and 1000 MB each. */
async function setUp (t: Test, options: Partial<ClusterOptions> = {}, sc2: Parameters<typeof startSystemManager>[0] = {}) {
  const manager = await startSystemManager(sc2)
  const cluster = startSimulatedCluster({
    url: manager.url,
    name: 'hpi',
    location: 'potsdam',
    workers: [{ name: 'one', cores: 2, memoryMb: 1000 }, { name: 'two', cores: 2, memoryMb: 1000 }],
    delays: { createMs: 60, startMs: 60 },
    backoff: { firstMs: 20, longestMs: 50 },
    ...options
  })
  const problems: string[] = []
  cluster.events.on('problem', text => problems.push(text))
  const channel = await manager.registration()
  t.teardown(async () => {
    await cluster.stop()
    await manager.close()
    if (channel.violations.length > 0) throw new Error(`The cluster broke the contract: ${channel.violations.join('; ')}`)
  })
  return { manager, cluster, channel, problems }
}

t.test('a cluster registers, counts its workers once and sends its figures', async t => {
  const { cluster, channel } = await setUp(t, { advertiseAddress: '10.1.2.3', managerPort: 10200 })
  t.match(channel.cs1, { cluster_name: 'hpi', cluster_location: 'potsdam', manager_port: 10200, advertise_address: '10.1.2.3' })
  t.notOk('last_seq' in channel.cs1, 'it has taken nothing yet')
  t.strictSame(await channel.next('nodes'), { count: 2 })
  t.match(await channel.next('information'), {
    cpu_percent: 0,
    memory_percent: 0,
    cpu_cores: 4,
    cumulative_memory_in_mb: 2000,
    number_of_nodes: 2,
    technology: ['docker'],
    jobs: [],
    workers: [{ name: 'one', cpu_cores: 2, memory_in_mb: 1000, technology: ['docker'] }, { name: 'two' }]
  })
  t.equal(cluster.id, CLUSTER_ID)
  t.equal(channel.frames.filter(({ event }) => event === 'nodes').length, 1)
})

t.test('heartbeats come at the interval of the System Manager', async t => {
  const { channel } = await setUp(t, {}, { heartbeat_interval_s: 0.05 })
  const started = Date.now()
  for (let beats = 0; beats < 5; beats++) await channel.next('information')
  t.ok(Date.now() - started >= 150, 'but not oftener')
})

t.test('a deployed job climbs to RUNNING, reports its addresses, and takes its capacity', async t => {
  const { cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  t.strictSame(await channel.next('ack'), { seq: 1 })
  t.match(await channel.heartbeat(JOB_ID, 'NODE_SCHEDULED'), { cpu_cores: 3, cumulative_memory_in_mb: 1900, cpu_percent: 25, memory_percent: 5 })
  await channel.heartbeat(JOB_ID, 'CREATED')
  const result = await channel.next('result')
  t.match(result, { job_id: JOB_ID, instances: [{ instance_number: 0, namespace_ip: /^10\.\d+\.0\.1$/, host_ip: /^192\.168\./, host_port: 50000 }] })
  await channel.heartbeat(JOB_ID, 'RUNNING')
  t.match(cluster.running(), [{ job_id: JOB_ID, status: 'RUNNING', image: 'nginx:1', instances: [{ instance_number: 0, status: 'RUNNING' }] }])
})

t.test('only the instances that are placed on this cluster run, spread over its workers', async t => {
  const { cluster, channel } = await setUp(t)
  const job = jobDocument({ numbers: [0, 1, 2] })
  job.instance_list[1]!.cluster_id = 'd'.repeat(24)
  channel.send('command', command(1, 'deploy', { job }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  const instances = cluster.running()[0]!.instances
  t.strictSame(instances.map(instance => instance.instance_number), [0, 2])
  t.equal(new Set(instances.map(instance => instance.worker)).size, 2)
})

t.test('a command that comes again is acknowledged again and not carried out again', async t => {
  const { cluster, channel } = await setUp(t)
  const carriedOut: number[] = []
  cluster.events.on('command', ({ seq }) => carriedOut.push(seq))
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  channel.send('command', command(2, 'delete'))
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  for (const seq of [1, 2, 1]) t.strictSame(await channel.next('ack'), { seq })
  t.strictSame(carriedOut, [1, 2])
  t.strictSame(cluster.running(), [], 'the deleted job did not come back')
})

t.test('what cannot be done is refused with its reason, again when it comes again, and changes nothing', async t => {
  const { cluster, channel } = await setUp(t)
  const tooMuch = { requirements: { cpu: 3, memory: 1 } }
  channel.send('command', command(1, 'deploy', { job: jobDocument({ node: 'three' }) }))
  t.strictSame(await channel.next('nack'), { seq: 1, error: 'NO_NODE_FOUND' })
  channel.send('command', command(2, 'deploy', { job: jobDocument(tooMuch) }))
  t.strictSame(await channel.next('nack'), { seq: 2, error: 'NO_WORKER_CAPACITY' })
  channel.send('command', command(3, 'deploy', { job: jobDocument({ image_runtime: 'unikernel' }) }))
  t.strictSame(await channel.next('nack'), { seq: 3, error: 'NO_QUALIFIED_WORKER_FOUND' })
  channel.send('command', command(4, 'deploy', { job: jobDocument({ numbers: [0, 1, 2, 3, 4] }) }))
  t.strictSame(await channel.next('nack'), { seq: 4, error: 'NO_WORKER_CAPACITY' }, 'five cores are wanted, and there are four')
  channel.send('command', command(5, 'deploy', { job: { _id: JOB_ID } }))
  t.match(await channel.next('nack'), { seq: 5, error: /^job\./ })
  channel.send('command', command(1, 'deploy', { job: jobDocument({ node: 'three' }) }))
  t.strictSame(await channel.next('nack'), { seq: 1, error: 'NO_NODE_FOUND' })
  t.strictSame(cluster.running(), [])

  channel.send('command', command(6, 'deploy', { job: jobDocument({ requirements: { cpu: 2, memory: 1000 }, numbers: [0, 1] }) }))
  t.strictSame(await channel.next('ack'), { seq: 6 }, 'the refused ones hold no room')
  channel.send('command', command(7, 'deploy', { job: jobDocument({ ...tooMuch, generation: 2 }) }))
  t.match(await channel.next('nack'), { seq: 7 })
  t.equal(cluster.running()[0]?.instances.length, 2, 'a refused update leaves what runs')
})

t.test('the wanted worker gets the job, whichever field names it', async t => {
  const { cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument({ node: 'two' }) }))
  await channel.next('ack')
  t.equal(cluster.running()[0]?.instances[0]?.worker, 'two')
  channel.send('command', command(2, 'deploy', { job: jobDocument({ requirements: { node: 'one' }, generation: 2 }) }))
  await channel.next('ack')
  t.equal(cluster.running()[0]?.instances[0]?.worker, 'one', 'an update that names another worker moves it')
})

t.test('an update starts, stops and replaces no more than it has to', async t => {
  const { cluster, channel } = await setUp(t)
  const statuses: unknown[] = []
  channel.send('command', command(1, 'deploy', { job: jobDocument({ numbers: [0, 1] }) }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  const [first] = cluster.running()[0]!.instances
  cluster.events.on('status', (_job, status) => statuses.push(status))

  channel.send('command', command(2, 'deploy', { job: jobDocument({ numbers: [0, 1] }) }))
  await channel.next('ack')
  t.strictSame(statuses, [], 'the same generation with the same instances is there already')

  channel.send('command', command(3, 'replicate', { replicas: 2, job: jobDocument({ numbers: [0, 2] }) }))
  await channel.next('ack')
  t.match(cluster.running()[0]?.instances, [{ instance_number: 0, status: 'RUNNING' }, { instance_number: 2, status: 'NODE_SCHEDULED' }])
  await channel.heartbeat(JOB_ID, 'RUNNING')

  channel.send('command', command(4, 'deploy', { job: jobDocument({ numbers: [0, 2], generation: 2, image: 'nginx:2' }) }))
  await channel.next('ack')
  t.match(cluster.running()[0], { image: 'nginx:2', status: 'NODE_SCHEDULED', instances: [{ status: 'NODE_SCHEDULED' }, { status: 'NODE_SCHEDULED' }] })
  t.equal(cluster.running()[0]?.instances[0]?.namespace_ip, first?.namespace_ip, 'it is replaced in place')
  await channel.heartbeat(JOB_ID, 'RUNNING')

  channel.send('command', command(5, 'delete'))
  await channel.next('ack')
  t.match(await channel.next('information'), { jobs: [], cpu_cores: 4, cumulative_memory_in_mb: 2000 })
})

t.test('of an update only the instances are started again whose turn it is', async t => {
  const { cluster, channel } = await setUp(t)
  const document = (generations: number[], more: object = {}) => {
    const job = jobDocument({ numbers: [0, 1], generation: 2, image: 'nginx:2', ...more })
    return { ...job, instance_list: job.instance_list.map((entry, index) => ({ ...entry, generation: generations[index] })) }
  }
  const images = () => cluster.running()[0]?.instances.map(({ image, status }) => [image, status])
  channel.send('command', command(1, 'deploy', { job: document([1, 1], { generation: 1, image: 'nginx:1' }) }))
  await channel.heartbeat(JOB_ID, 'RUNNING')

  channel.send('command', command(2, 'deploy', { job: document([2, 1]) }))
  await channel.next('ack')
  t.strictSame(images(), [['nginx:2', 'NODE_SCHEDULED'], ['nginx:1', 'RUNNING']])
  await channel.heartbeat(JOB_ID, 'RUNNING')
  channel.send('command', command(3, 'deploy', { job: document([2, 2]) }))
  await channel.next('ack')
  t.strictSame(images(), [['nginx:2', 'RUNNING'], ['nginx:2', 'NODE_SCHEDULED']])
  await channel.heartbeat(JOB_ID, 'RUNNING')

  channel.send('command', command(4, 'deploy', { job: document([3, 3], { generation: 3 }) }))
  await channel.next('ack')
  t.strictSame(images(), [['nginx:2', 'RUNNING'], ['nginx:2', 'RUNNING']], 'nothing differs from what they were started from')
})

t.test('move brings what runs on one worker to another, which has to have room', async t => {
  const { cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument({ node: 'one' }) }))
  channel.send('command', command(2, 'deploy', { job_id: 'a'.repeat(24), job: jobDocument({ id: 'a'.repeat(24), node: 'two', requirements: { cpu: 2 } }) }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  channel.send('command', command(3, 'move', { node_from: 'one', node_to: 'three' }))
  t.strictSame(await channel.next('nack'), { seq: 3, error: 'NO_NODE_FOUND' })
  channel.send('command', command(4, 'move', { node_from: 'one', node_to: 'two' }))
  t.strictSame(await channel.next('nack'), { seq: 4, error: 'NO_WORKER_CAPACITY' })
  channel.send('command', command(5, 'delete', { job_id: 'a'.repeat(24) }))
  channel.send('command', command(6, 'move', { node_from: 'one', node_to: 'two' }))
  t.strictSame(await channel.next('ack', ({ seq }) => seq === 6), { seq: 6 })
  t.match(cluster.running(), [{ job_id: JOB_ID, instances: [{ worker: 'two', status: 'NODE_SCHEDULED' }] }])
  const { instances } = await channel.next('result') as { instances: Array<{ host_ip: string }> }
  t.match(instances, [{ host_ip: cluster.running()[0]?.instances[0]?.host_ip }])
  await channel.heartbeat(JOB_ID, 'RUNNING')
})

t.test('a job that fails is reported at once, and again when it is restarted', async t => {
  const { cluster, channel } = await setUp(t)
  channel.send('command', command(1, 'deploy', { job: jobDocument() }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  t.ok(cluster.failJob(JOB_ID, 'FAILED'))
  await channel.heartbeat(JOB_ID, 'FAILED')
  t.ok(cluster.restartJob(JOB_ID))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  cluster.failJob(JOB_ID, 'DEAD')
  channel.send('command', command(2, 'deploy', { job: jobDocument() }))
  await channel.heartbeat(JOB_ID, 'RUNNING')
  t.notOk(cluster.failJob('b'.repeat(24), 'FAILED'), 'there is no such job')
})

t.test('errors from the System Manager are reported', async t => {
  const { channel, problems } = await setUp(t)
  channel.send('error', { code: 'bad_request', message: 'cpu_cores: expected a number', event: 'information' })
  channel.send('command', { seq: 'one' })
  channel.send('command', command(1, 'delete'))
  await channel.next('ack')
  t.match(problems, ['bad_request: cpu_cores: expected a number', /^command\./])
})
