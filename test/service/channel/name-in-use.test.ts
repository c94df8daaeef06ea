import t, { type Test } from 'tap'
import { registerOverSocketIo } from '../http-push/cluster-manager.js'
import { startChannel, until, type ChannelServer } from './channel-server.js'
import { openPeer, register, registerRoomy } from './peer.js'

const takeovers = async (server: ChannelServer) =>
  Number(/^edgeio_cluster_takeovers_total (\d+)$/m.exec(await server.text('/metrics'))?.[1])

/** A cluster that has taken two commands. */
async function startHolder (t: Test) {
  const server = await startChannel(t)
  const holder = await registerRoomy(t, server)
  for (const name of ['a', 'b']) await server.deploy(name)
  await until(() => holder.all('command').length === 2)
  holder.send('ack', { seq: 2 })
  await until(async () => (await server.pending(holder.id)).length === 0)
  return { server, holder }
}

t.test(
  'a newcomer that has not stored what the holder of the name was sent is refused, and the holder is told',
  async t => {
    const { server, holder } = await startHolder(t)
    for (const [n, last] of [undefined, 1, 3].entries()) {
      const newcomer = await openPeer(t, server.channel)
      await newcomer.next('sc1')
      newcomer.send('cs1', { cluster_name: 'hpi', ...(last !== undefined && { last_seq: last }) })
      t.match(await newcomer.next('error'), { code: 'cluster_name_in_use', event: 'cs1' })
      t.match(await newcomer.closed, { code: 4009 })
      await until(() => holder.all('error').length === n + 1)
      t.match(holder.all('error')[n], { code: 'cluster_name_in_use', message: /127\.0\.0\.1|::1/ })
    }
    await server.deploy('c')
    await until(() => holder.all('command').length === 3, 'the holder to go on')
  }
)

t.test(
  'one that has is the same machine, or looks like it: it replaces the older session, and that shows',
  async t => {
    const { server, holder } = await startHolder(t)
    const newcomer = await register(t, server.channel, { last_seq: 2 })
    t.match(await holder.closed, { code: 4001 })
    t.equal(newcomer.id, holder.id)
    const { warnings, takeover } = await server.json(`/api/v1/clusters/${holder.id}`)
    t.match(warnings.at(-1), /another session from .* took over at .* do two machines have it\?/)
    t.equal(takeover.from, takeover.to)
    t.equal(await takeovers(server), 1)
    const [job] = (await server.json('/api/v1/jobs')).items
    await until(async () => {
      const { items } = await server.json(`/api/v1/jobs/${job.id}/events`)
      return items.some(({ type }: { type: string }) => type === 'taken_over')
    })
  }
)

t.test('over Socket.IO nobody takes the name of a cluster that is connected, at the same address either', async t => {
  const { server, holder } = await startHolder(t)
  await t.rejects(registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: 1 }), /cluster_name_in_use/)
  t.match(await server.json(`/api/v1/clusters/${holder.id}`), { registered_over: 'channel', takeover: null })
  holder.close()
  await holder.closed
  t.equal(await registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: 1 }), holder.id)
  t.match((await server.json(`/api/v1/clusters/${holder.id}`)).warnings.at(-1), /do two machines have it\?/)
})

t.test('a holder that is gone is no holder', async t => {
  const { server, holder } = await startHolder(t)
  holder.close()
  await holder.closed
  const newcomer = await register(t, server.channel)
  t.equal(newcomer.id, holder.id)
  t.equal(await takeovers(server), 0)
  t.equal((await server.json(`/api/v1/clusters/${holder.id}`)).takeover, null)
})

t.test(
  'over Socket.IO another address is refused while the cluster is active, and taken with a warning later',
  async t => {
    const server = await startChannel(t, { CLUSTER_GRACE_S: 1 })
    const port = Number(new URL(server.url).port)
    const id = await registerOverSocketIo(port, {
      cluster_name: 'tum',
      manager_port: 1,
      advertise_address: '10.1.1.1'
    })
    await t.rejects(
      registerOverSocketIo(port, { cluster_name: 'tum', manager_port: 1, advertise_address: '10.1.1.2' }),
      /cluster_name_in_use/
    )
    t.equal(
      await registerOverSocketIo(port, { cluster_name: 'tum', manager_port: 2, advertise_address: '10.1.1.1' }),
      id,
      'the same one at another port'
    )
    await until(async () => !(await server.json(`/api/v1/clusters/${id}`)).active)
    await registerOverSocketIo(port, { cluster_name: 'tum', manager_port: 1, advertise_address: '10.1.1.2' })
    t.match(await server.json(`/api/v1/clusters/${id}`), {
      ip: '10.1.1.2',
      takeover: { from: '10.1.1.1', to: '10.1.1.2' },
      warnings: [/10\.1\.1\.2 took over from 10\.1\.1\.1 at/]
    })
    t.equal(await takeovers(server), 1)
  }
)
