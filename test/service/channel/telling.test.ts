import t from 'tap'
import { aWhile, startChannel, until } from './channel-server.js'
import { register, registerRoomy } from './peer.js'

t.test('heartbeats, worker counts and results reach the registry and the jobs, in order of arrival', async t => {
  const server = await startChannel(t)
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await peer.next('command')
  peer.send('information', { cpu_cores: 8, jobs: [{ system_job_id: id, status: 'NODE_SCHEDULED' }] })
  peer.send('nodes', { count: 4 })
  peer.send('nodes', { delta: -1 })
  peer.send('result', { job_id: id, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  await until(async () => (await server.job(id)).status === 'DEPLOYED', 'the result')
  t.match(await server.job(id), { instance_list: [{ host_ip: '192.168.1.9', host_port: '50103' }] })
  t.match(await server.cluster(peer.id), { total_cpu_cores: 8, nodes: 3 })
  t.match((await server.events(id)).slice(-3).map(({ message }) => message), [/NODE_SCHEDULED/, /runs at 192.168.1.9:50103/, /DEPLOYED/])
  t.same(peer.all('error'), [])
})

t.test('a result over the channel speaks for the instances of that cluster only', async t => {
  const server = await startChannel(t)
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await peer.next('command')
  const stranger = await register(t, server.channel, { cluster_name: 'tum' })
  stranger.send('result', { job_id: id, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  stranger.send('nodes', { count: 1 })
  await until(async () => (await server.cluster(stranger.id)).nodes === 1)
  t.match(await server.job(id), { status: 'CLUSTER_SCHEDULED', instance_list: [{ host_ip: '', host_port: null }] })
})

t.test('job entries that cannot be understood come back in one error; the heartbeat counts', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  peer.send('information', { cpu_cores: 3, jobs: [{ system_job_id: 'x', status: 'RUNNING' }, 5] })
  t.match(await peer.next('error'), { code: 'heartbeat_entry_invalid', message: /jobs\[0\].*; jobs\[1\]/, event: 'information' })
  t.equal((await server.cluster(peer.id)).total_cpu_cores, 3)
  peer.send('nodes', { count: 1 })
  await until(async () => (await server.cluster(peer.id)).nodes === 1)
  t.equal(peer.all('error').length, 1)
  peer.send('information', { jobs: [5] })
  t.match(await peer.next('error'), { code: 'heartbeat_entry_invalid', message: /jobs\[0\]/ }, 'one alone, too')
})

t.test('after registration a bad frame costs only itself', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  for (const [text, expected] of [
    ['{', { code: 'json_invalid' }],
    ['{"event":"dance"}', { code: 'event_unknown', message: /cs1, information/, event: 'dance' }],
    ['{"event":"ack","data":{"seq":"secret"}}', { code: 'data_invalid', message: /^data\.seq: expected a whole number/, event: 'ack' }],
    ['{"event":"information","data":{"cpu_cores":-1}}', { code: 'data_invalid', message: /^data\.cpu_cores: /, event: 'information' }],
    ['{"event":"nodes","data":{}}', { code: 'data_invalid', message: /^data: count: .* or delta: /, event: 'nodes' }],
    ['{"event":"nack","data":{"seq":1}}', { code: 'data_invalid', message: /^data\.error: /, event: 'nack' }]
  ] as const) {
    peer.raw(text)
    t.match(await peer.next('error'), expected, text)
  }
  peer.raw(Buffer.from('{}'))
  t.match(await peer.next('error'), { code: 'frame_not_text' })
  peer.send('nodes', { count: 2 })
  await until(async () => (await server.cluster(peer.id)).nodes === 2)
  t.ok(server.log.some(line => line.code === 'data_invalid' && line.level === 30))
  t.notMatch(JSON.stringify(server.log), /secret/, 'payloads are not logged')
})

t.test('20 bad frames in a row end the channel with 4003; a good one between starts the count anew', async t => {
  const { channel } = await startChannel(t)
  const peer = await register(t, channel)
  for (let i = 0; i < 19; i++) peer.raw('bad')
  peer.send('nodes', { delta: 1 })
  for (let i = 0; i < 19; i++) peer.raw('bad')
  for (let i = 0; i < 38; i++) await peer.next('error')
  peer.raw('bad')
  t.match(await peer.next('error'), { code: 'json_invalid' })
  t.match(await peer.next('error'), { code: 'too_many_bad_frames', message: /^20 bad frames/ })
  t.same(await peer.closed, { code: 4003, reason: 'too_many_bad_frames' })
})

t.test('a result for a job that is not known is an error, and not a bad frame', async t => {
  const { channel } = await startChannel(t)
  const peer = await register(t, channel)
  for (let i = 0; i < 30; i++) peer.send('result', { job_id: 'a'.repeat(24), instances: [] })
  await until(() => peer.all('error').length === 30)
  t.match(peer.all('error')[0], { code: 'job_not_found', message: /a{24}/, event: 'result' })
  t.equal(await Promise.race([peer.closed, aWhile(100)]), undefined)
})

t.test('300 frames sent at once by an eager cluster are all taken', async t => {
  const server = await startChannel(t)
  const peer = await register(t, server.channel)
  for (let i = 0; i < 300; i++) peer.send('nodes', { delta: 1 })
  await until(async () => (await server.cluster(peer.id)).nodes === 300)
})

t.test('5000 results, sent as fast as the network takes them, are all answered', async t => {
  const { channel } = await startChannel(t)
  const peer = await register(t, channel)
  for (let i = 0; i < 5000; i++) peer.send('result', { job_id: 'a'.repeat(24), instances: [{ instance_number: i, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  await until(() => peer.all('error').length === 5000, '5000 answers')
  t.equal(await Promise.race([peer.closed, aWhile(10)]), undefined)
})

t.test('a cluster that keeps reporting UNDEPLOYED for a job that is gone gets no further removal', async t => {
  const server = await startChannel(t, { RECONCILE_S: 0.05 })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await peer.next('command')
  await server.undeploy(id)
  await peer.next('command')
  peer.send('ack', { seq: 2 })
  await until(async () => (await server.job(id)).status === 'UNDEPLOYED')
  const gone = await server.job(id)
  for (let i = 0; i < 6; i++) {
    await aWhile(70)
    peer.send('information', { jobs: [{ system_job_id: id, status: 'UNDEPLOYED' }] })
  }
  await until(async () => (await server.cluster(peer.id)).unknown_jobs.length === 1, 'it to be shown')
  peer.send('nodes', { count: 1 })
  await until(async () => (await server.cluster(peer.id)).nodes === 1)
  t.same(await server.job(id), gone)
  t.equal(peer.all('command').length, 2)

  for (let i = 0; i < 6; i++) {
    await aWhile(70)
    peer.send('information', { jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  }
  t.match(await peer.next('command'), { kind: 'delete', job_id: id }, 'what runs there all the same is to be removed')
})

t.test('a cluster that keeps reporting UNDEPLOYED for a job that should run makes it DEAD, once, with the reason', async t => {
  const server = await startChannel(t, { RECONCILE_S: 0.05 })
  const peer = await registerRoomy(t, server)
  const id = await server.deploy('a')
  await peer.next('command')
  peer.send('ack', { seq: 1 })
  peer.send('information', { jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await until(async () => (await server.job(id)).status === 'RUNNING')
  for (let i = 0; i < 6; i++) {
    peer.send('information', { jobs: [{ system_job_id: id, status: 'UNDEPLOYED' }] })
    await aWhile(70)
  }
  await until(async () => (await server.job(id)).status === 'DEAD')
  t.match(await server.job(id), { status_reason: /the cluster reports it as undeployed, without a command/ })
  t.equal((await server.events(id)).filter(event => 'to' in event && event.to === 'DEAD').length, 1)
  t.equal(peer.all('command').length, 1)
  peer.send('information', { jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await until(async () => (await server.job(id)).status === 'RUNNING')
})
