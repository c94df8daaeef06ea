import t from 'tap'
import { ApiError } from '../../../schemas/errors.js'
import { aWhile, startChannel, until } from './channel-server.js'
import { register } from './peer.js'

t.test('heartbeats, worker counts and results reach the registry and the jobs, in order of arrival', async t => {
  const { app, url, asked, command } = await startChannel(t)
  const peer = await register(t, url)
  const job = await command(peer.id, ['deploy'])
  peer.send('information', { cpu_cores: 8, jobs: [{ system_job_id: job.id, status: 'NODE_SCHEDULED' }] })
  peer.send('nodes', { count: 4 })
  peer.send('nodes', { delta: -1 })
  peer.send('result', { job_id: job.id, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  await until(async () => (await app.jobLifecycle.jobs.find(job.id)).instance_list[0]?.host_port === '50103', 'the result')
  t.match(await app.clusterRegistry.get(peer.id), { total_cpu_cores: 8, nodes: 3 })
  t.same(asked.map(({ what }) => what), ['heartbeat', 'result'])
  t.equal(asked[0]?.args[0], peer.id)
  t.equal(asked[1]?.args[1], peer.id)
  t.same(peer.all('error'), [])
})

t.test('job entries that cannot be understood are told in one error; the heartbeat counts', async t => {
  const { app, url } = await startChannel(t)
  const peer = await register(t, url)
  peer.send('information', { cpu_cores: 3, jobs: [{ system_job_id: 'x', status: 'RUNNING' }, 5] })
  t.match(await peer.next('error'), { code: 'heartbeat_entry_invalid', message: /jobs\[0\].*jobs\[1\]/, event: 'information' })
  t.equal((await app.clusterRegistry.get(peer.id)).total_cpu_cores, 3)
  peer.send('nodes', { count: 1 })
  await until(async () => (await app.clusterRegistry.get(peer.id)).nodes === 1)
  t.equal(peer.all('error').length, 1)
})

t.test('after registration a bad frame costs only itself', async t => {
  const { app, url, log } = await startChannel(t)
  const peer = await register(t, url)
  for (const [text, expected] of [
    ['{', { code: 'json_invalid' }],
    ['{"event":"dance"}', { code: 'event_unknown', message: /cs1, information/, event: 'dance' }],
    ['{"event":"ack","data":{"seq":"secret"}}', { code: 'data_invalid', message: /^data\.seq: expected integer/, event: 'ack' }],
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
  await until(async () => (await app.clusterRegistry.get(peer.id)).nodes === 2)
  t.ok(log.some(line => line.code === 'data_invalid' && line.level === 30))
  t.notMatch(JSON.stringify(log), /secret/, 'payloads are not logged')
})

t.test('20 bad frames in a row end the channel with 4003; a good one between starts the count anew', async t => {
  const { url } = await startChannel(t)
  const peer = await register(t, url)
  for (let i = 0; i < 19; i++) peer.raw('bad')
  peer.send('nodes', { delta: 1 })
  for (let i = 0; i < 19; i++) peer.raw('bad')
  for (let i = 0; i < 38; i++) await peer.next('error')
  peer.raw('bad')
  t.match(await peer.next('error'), { code: 'json_invalid' })
  t.match(await peer.next('error'), { code: 'too_many_bad_frames' })
  t.same(await peer.closed, { code: 4003, reason: 'too_many_bad_frames' })
})

t.test('a failure of ours is told by its code, or as internal_error without its message, and the channel goes on', async t => {
  let failure: Error = new ApiError('store_unavailable', 'the database does not answer')
  const { url, log } = await startChannel(t, { lifecycle: { result: async () => { throw failure } } })
  const peer = await register(t, url)
  const result = { job_id: 'a'.repeat(24), instances: [] }
  peer.send('result', result)
  t.match(await peer.next('error'), { code: 'store_unavailable', message: 'the database does not answer', event: 'result' })
  failure = new Error('a secret of the server')
  peer.send('result', result)
  const told = await peer.next('error')
  t.equal(told.code, 'internal_error')
  t.notMatch(told.message, /secret/)
  t.ok(log.some(line => line.level === 50 && /secret/.test(JSON.stringify(line.err))))
  for (let i = 0; i < 30; i++) peer.send('result', result)
  await until(() => peer.all('error').length === 32)
  t.equal(await Promise.race([peer.closed, aWhile(100)]), undefined, 'they are not counted as bad frames')
})

t.test('a result for a job that is not known is told', async t => {
  const { url } = await startChannel(t)
  const peer = await register(t, url)
  peer.send('result', { job_id: 'a'.repeat(24), instances: [] })
  t.match(await peer.next('error'), { code: 'job_not_found', event: 'result' })
})

t.test('300 frames sent at once by an eager cluster are all taken', async t => {
  const { app, url } = await startChannel(t)
  const peer = await register(t, url)
  for (let i = 0; i < 300; i++) peer.send('nodes', { delta: 1 })
  await until(async () => (await app.clusterRegistry.get(peer.id)).nodes === 300)
})

t.test('5000 results, sent as fast as the network takes them, are all taken', async t => {
  const { url, asked } = await startChannel(t, { lifecycle: { result: async () => { await new Promise(setImmediate) } } })
  const peer = await register(t, url)
  for (let i = 0; i < 5000; i++) peer.send('result', { job_id: 'a'.repeat(24), instances: [{ instance_number: i, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  await until(() => asked.length === 5000, '5000 results')
  t.equal(await Promise.race([peer.closed, aWhile(10)]), undefined)
})
