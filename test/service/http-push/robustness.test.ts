import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { registerOverSocketIo, startClusterManager, status, type ClusterManager } from './cluster-manager.js'

async function pair (t: Test, settings: Parameters<typeof startChannel>[1] = {}, cs1: Record<string, unknown> = {}): Promise<{ server: ChannelServer, manager: ClusterManager, id: string }> {
  const server = await startChannel(t, settings)
  const manager = await startClusterManager(t)
  return { server, manager, id: await registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: manager.port, ...cs1 }) }
}

const settled = ({ app }: ChannelServer, id: string) => until(async () => (await app.store.outbox.pending(id, { after: 0, limit: 1 })).length === 0, 'the outbox to be empty')
const reason = async ({ app }: ChannelServer, id: string) => (await app.jobLifecycle.jobs.find(id)).status_reason ?? ''

t.test('a cluster that is away gets its commands in order when it is back; until then the jobs say why they wait', async t => {
  const { server, manager, id } = await pair(t)
  await manager.hangUp()
  const jobs = [await server.command(id, ['deploy']), await server.command(id, ['deploy'])]
  await until(async () => /cannot be reached/.test(await reason(server, jobs[1]!.id)))
  t.equal(await reason(server, jobs[0]!.id), `hpi at 127.0.0.1:${manager.port} cannot be reached, it is tried again: http://127.0.0.1:${manager.port}: connect ECONNREFUSED 127.0.0.1:${manager.port}`)
  await manager.listen()
  await server.app.clusterRegistry.heartbeat(id, {})
  t.same([await manager.take(), await manager.take()].map(({ body }) => JSON.parse(body)._id), jobs.map(job => job.id))
  await settled(server, id)
  await until(async () => await reason(server, jobs[0]!.id) === '', 'the reason to go')
  t.equal((await server.app.jobLifecycle.jobs.history(jobs[0]!.id, { limit: 100 })).length, 2, 'one event for being away, one for being back')
})

t.test('a cluster that is away is not tried in a busy loop, however lively it is', async t => {
  const { server, manager, id } = await pair(t)
  manager.answer = status(503)
  await server.command(id, ['deploy'])
  await manager.take()
  const lively = setInterval(() => { server.app.clusterRegistry.heartbeat(id, {}).catch(() => {}) }, 5)
  t.teardown(() => clearInterval(lively))
  await aWhile(2200)
  t.ok(manager.calls.length > 1 && manager.calls.length < 8, `${manager.calls.length} calls`)
})

t.test('a redirect is not followed', async t => {
  const { server, manager, id } = await pair(t)
  const elsewhere = await startClusterManager(t)
  manager.answer = status(307, '', { location: `http://127.0.0.1:${elsewhere.port}/api/deploy` })
  const { id: jobId } = await server.command(id, ['deploy'])
  await until(async () => /HTTP 307 \(redirects are not followed\)/.test(await reason(server, jobId)))
  t.same(elsewhere.calls, [])
  t.equal(manager.calls.length, 1)
})

t.test('an answer that never ends is cut off, and its status counts', async t => {
  const { server, manager, id } = await pair(t)
  let written = 0
  const cut = new Promise<void>(resolve => {
    manager.answer = (_call, reply) => {
      reply.writeHead(200, { 'content-type': 'text/plain' })
      const pour = () => { while (!reply.destroyed && reply.write('x'.repeat(65536))) written += 65536 }
      reply.on('drain', pour).on('close', resolve)
      pour()
    }
  })
  await server.command(id, ['deploy'])
  await Promise.all([cut, settled(server, id)])
  t.ok(written < 16 * 1024 * 1024, `${written} bytes were taken`)
})

t.test('an answer that is not HTTP, and a connection that is cut, are tried again', async t => {
  const { server, manager, id } = await pair(t)
  manager.answer = (_call, _reply, request) => {
    manager.answer = (_call, _reply, request) => {
      manager.answer = status(200)
      request.socket.destroy()
    }
    request.socket.end('SSH-2.0-OpenSSH_9.6\r\n')
  }
  await server.command(id, ['deploy'])
  await settled(server, id)
  t.equal(manager.calls.length, 3)
})

t.test('a call that is not answered in time is made again', async t => {
  const { server, manager, id } = await pair(t, { CLUSTER_ANSWER_S: 0.2 })
  manager.answer = () => { manager.answer = status(200) }
  const { id: jobId } = await server.command(id, ['deploy'])
  await until(async () => /Headers Timeout Error/.test(await reason(server, jobId)))
  await settled(server, id)
  t.equal(manager.calls.length, 2)
})

t.test('what the cluster fails at is refused after a few tries, with its reason', async t => {
  const { server, manager, id } = await pair(t)
  const { id: jobId } = await server.command(id, ['deploy'])
  await settled(server, id)
  manager.answer = status(500, 'database is locked')
  await server.app.jobLifecycle.jobs.undeploy(jobId, 'user')
  const lively = setInterval(() => { server.app.clusterRegistry.heartbeat(id, {}).catch(() => {}) }, 50)
  t.teardown(() => clearInterval(lively))
  await until(async () => /failed: HTTP 500/.test(await reason(server, jobId)))
  await until(async () => await reason(server, jobId) === 'being removed: the cluster refused: HTTP 500: database is locked')
  t.equal(manager.calls.length, 1 + 5)
  await settled(server, id)
})

for (const [address, networks] of [
  ['169.254.169.254', undefined],
  ['::ffff:169.254.169.254', undefined],
  ['fe80::1', undefined],
  ['8.8.8.8', undefined],
  ['0.0.0.0', undefined],
  ['127.0.0.1', '10.0.0.0/8'],
  ['0x7f000001', '10.0.0.0/8'],
  // A name: what it resolves to is what is checked.
  ['localhost', '10.0.0.0/8']
] as const) {
  t.test(`${address} is never contacted with ${networks ?? 'the default networks'}, and the job says why`, async t => {
    const { server, manager, id } = await pair(t, networks === undefined ? {} : { CLUSTER_NETWORKS: networks }, { advertise_address: address })
    const { id: jobId } = await server.command(id, ['deploy'])
    await until(async () => /is in none of CLUSTER_NETWORKS, so it is not contacted/.test(await reason(server, jobId)))
    t.same(manager.calls, [])
  })
}

for (const address of ['localhost', '::1']) {
  t.test(`${address} is contacted`, async t => {
    const { server, id, manager } = await pair(t, {}, { advertise_address: address })
    const listener = createServer((_request, reply) => reply.end('ok')).listen(0, '::1')
    t.teardown(() => listener.close())
    await until(() => listener.listening)
    const port = address === '::1' ? (listener.address() as AddressInfo).port : manager.port
    await registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: port, advertise_address: address })
    await server.command(id, ['deploy'])
    await settled(server, id)
  })
}

t.test('an advertised address is a host and nothing more', async t => {
  for (const address of ['127.0.0.1/api/other?', 'user@127.0.0.1', '127.0.0.1:1#', '[::1', 'a b', '%31']) {
    const { server, id, manager } = await pair(t, {}, { advertise_address: address })
    const { id: jobId } = await server.command(id, ['deploy'])
    await until(async () => /no usable address|cannot be reached/.test(await reason(server, jobId)), address)
    t.same(manager.calls, [])
  }
})

t.test('one cluster that does not answer delays no other', async t => {
  const { server, manager: slow, id: slowId } = await pair(t)
  slow.answer = () => {}
  const quick = await startClusterManager(t)
  const quickId = await registerOverSocketIo(server.port, { cluster_name: 'tum', manager_port: quick.port })
  await server.command(slowId, ['deploy'])
  await slow.take()
  const began = performance.now()
  for (let i = 0; i < 20; i++) await server.command(quickId, ['deploy'])
  await settled(server, quickId)
  t.ok(performance.now() - began < 2000)
})

t.test('a network that is none stops the start with one clear line', async t => {
  await t.rejects(startChannel(t, { CLUSTER_NETWORKS: '10.0.0.0/8, 300.1.1.1/8' }), { message: /^CLUSTER_NETWORKS=.* cannot be used: "300\.1\.1\.1\/8" is not a network\. Expected/ })
})
