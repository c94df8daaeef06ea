import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { openPeer, register } from '../channel/peer.js'
import { registerOverSocketIo, startClusterManager, status } from './cluster-manager.js'
import { settled, startPair } from './pair.js'

const reason = async (server: ChannelServer, id: string): Promise<string> => (await server.job(id)).status_reason ?? ''

for (const [networks, addresses] of [
  [undefined, ['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1', '8.8.8.8', '0.0.0.0']],
  // A name: what it resolves to is what is checked.
  ['10.0.0.0/8', ['127.0.0.1', '0x7f000001', 'localhost']]
] as const) {
  t.test(`${addresses.join(', ')} are never contacted with ${networks ?? 'the default networks'}, and the jobs say why`, async t => {
    const server = await startChannel(t, networks === undefined ? {} : { CLUSTER_NETWORKS: networks })
    const manager = await startClusterManager(t)
    for (const address of addresses) {
      const cs1 = { cluster_name: `at ${address}`, manager_port: manager.port, advertise_address: address }
      await t.rejects(registerOverSocketIo(server.port, cs1), {
        message: /"address_refused".*is in none of CLUSTER_NETWORKS/
      })
      const peer = await openPeer(t, server.channel)
      peer.send('cs1', cs1)
      t.match(await peer.next('sc1'), {})
      t.match(await peer.next('error'), {
        code: 'address_refused',
        message: /^data.advertise_address: .* is in none of CLUSTER_NETWORKS$/
      })
      t.equal((await peer.closed).code, 4000)
      // It registered when CLUSTER_NETWORKS was another one.
      const { id } = await server.store.clusters.register({
        cluster_name: cs1.cluster_name,
        ip: address,
        port: manager.port,
        network_component_port: null,
        registered_over: 'socket.io',
        delivery: 'http',
        clusterinfo: null,
        cluster_location: null
      }, Date.now())
      const job = await server.command(id, ['deploy'])
      await until(async () => /is in none of CLUSTER_NETWORKS, so it is not contacted/.test(await reason(server, job.id)), address)
    }
    t.same(manager.calls, [])
  })
}

t.test('the metadata services of clouds are in no default network', async t => {
  const server = await startChannel(t)
  for (const address of ['fd00:ec2::254', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', '169.254.169.254', '100.100.100.200']) {
    await t.rejects(registerOverSocketIo(server.port, { cluster_name: 'hpi', advertise_address: address }), {
      message: /address_refused/
    })
  }
  await registerOverSocketIo(server.port, { cluster_name: 'hpi', advertise_address: 'fd00:ec3::1' })
})

t.test('over the raw channel a cluster may come from anywhere; that is noted', async t => {
  const server = await startChannel(t, { CLUSTER_NETWORKS: '10.0.0.0/8' })
  const { id } = await register(t, server.channel)
  t.match(await server.cluster(id), { delivery: 'channel', connected: true })
  t.equal(
    server.log.filter(
      ({ msg }) => msg === 'a cluster outside of CLUSTER_NETWORKS gets its commands over its channel only'
    ).length,
    1
  )
  await t.rejects(registerOverSocketIo(server.port, { cluster_name: 'tum' }), {
    message: /address_refused.*127.0.0.1 is in none/
  })
})

t.test('localhost and ::1 are contacted', async t => {
  const server = await startChannel(t)
  const manager = await startClusterManager(t)
  const listener = createServer((_request, reply) => reply.end('ok')).listen(0, '::1')
  t.teardown(() => listener.close())
  await until(() => listener.listening)
  for (const [address, port] of [['localhost', manager.port], ['::1', (listener.address() as AddressInfo).port]] as const) {
    const id = await registerOverSocketIo(server.port, { cluster_name: `at ${address}`, manager_port: port, advertise_address: address })
    await server.command(id, ['deploy'])
    await settled(server, id)
  }
})

t.test('an advertised address is a host and nothing more, and a port that is missing is no port', async t => {
  const server = await startChannel(t)
  const manager = await startClusterManager(t)
  for (const address of ['127.0.0.1/api/other?', 'user@127.0.0.1', '127.0.0.1:1#', '[::1', 'a b', '%31']) {
    const cs1 = { cluster_name: `at ${address}`, manager_port: manager.port, advertise_address: address }
    await t.rejects(registerOverSocketIo(server.port, cs1), {
      message: /address_refused.*is neither an address nor a host name/
    })
  }
  const id = await registerOverSocketIo(server.port, { cluster_name: 'no port' })
  const job = await server.command(id, ['deploy'])
  await until(async () => /the cluster has no usable address: 127.0.0.1, port none/.test(await reason(server, job.id)))
  t.same(manager.calls, [])
})

t.test('a redirect is not followed', async t => {
  const { server, manager, id } = await startPair(t)
  const elsewhere = await startClusterManager(t)
  manager.answer = status(307, '', { location: `http://127.0.0.1:${elsewhere.port}/api/deploy` })
  const { id: jobId } = await server.command(id, ['deploy'])
  await until(async () => /HTTP 307 \(redirects are not followed\)/.test(await reason(server, jobId)))
  t.same(elsewhere.calls, [])
  t.equal(manager.calls.length, 1)
})

t.test('what is not a network stops the start with one clear line', async t => {
  await t.rejects(startChannel(t, { CLUSTER_NETWORKS: '10.0.0.0/8, 300.1.1.1/8' }), { message: /^CLUSTER_NETWORKS=.* cannot be used: "300\.1\.1\.1\/8" is not a network\. Expected/ })
})
