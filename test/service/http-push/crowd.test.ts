import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { aWhile, startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { aCommand, aJob, on } from '../stores/samples.js'

/** So many clusters, each at an address of its own, with a command that waits. None of them answers. */
async function startCrowd (server: ChannelServer, count: number, port: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const { id } = await server.store.clusters.register(
      {
        cluster_name: `c${i}`,
        ip: `127.0.1.${i + 1}`,
        port,
        network_component_port: null,
        registered_over: 'socket.io',
        delivery: 'http',
        clusterinfo: {},
        cluster_location: null
      },
      Date.now()
    )
    ids.push(id)
  }
  await server.store.jobs.commit(ids.map(id => {
    const job = on(aJob(), id)
    return { job, events: [], commands: [aCommand(job, id)] }
  }))
  const tried = () => new Set(server.log.flatMap(({ msg, cluster_id: id }) => msg === 'a command could not be pushed' ? [id] : [])).size
  await until(() => tried() === count, 'each of them to be tried')
  return ids
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await until(() => server.listening)
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

t.test('when many clusters come back at once, no more than 128 calls are on the wire, and all get their commands', async t => {
  const server = await startChannel(t)
  const port = await freePort()
  const ids = await startCrowd(server, 160, port)
  let open = 0
  let most = 0
  let calls = 0
  const held: Array<() => void> = []
  const crowd = createServer((_request, reply) => {
    calls++
    most = Math.max(most, ++open)
    held.push(() => {
      open--
      reply.end('ok')
    })
  }).listen(port, '0.0.0.0')
  t.teardown(() => {
    crowd.closeAllConnections()
    crowd.close()
  })
  await Promise.all(ids.map(id => server.heartbeat(id, {})))
  await until(() => open === 128, '128 calls')
  await aWhile(500)
  t.equal(calls, 128)
  t.equal(await server.store.outbox.backlog(), 160)
  const answering = setInterval(() => { for (const answer of held.splice(0, 40)) answer() }, 20)
  t.teardown(() => clearInterval(answering))
  await until(async () => await server.store.outbox.backlog() === 0, 'all commands to be settled')
  t.equal(calls, 160)
  t.equal(most, 128)
})

t.test('a sign of life ends a long wait for the next try', async t => {
  const server = await startChannel(t)
  const port = await freePort()
  const ids = await startCrowd(server, 40, port)
  // By now most of them wait for many seconds.
  await aWhile(8000)
  const called = new Set<string | undefined>()
  const crowd = createServer((request, reply) => {
    called.add(request.socket.localAddress)
    reply.end('ok')
  }).listen(port, '0.0.0.0')
  t.teardown(() => {
    crowd.closeAllConnections()
    crowd.close()
  })
  const began = performance.now()
  await Promise.all(ids.map(id => server.heartbeat(id, {})))
  const heard = performance.now()
  await until(() => called.size === 40)
  t.ok(performance.now() - heard < 3000, `${Math.round(performance.now() - heard)} ms after the last, ${Math.round(performance.now() - began)} after the first`)
})
