import t, { type Test } from 'tap'
import { aWhile, startChannel, until } from '../channel/channel-server.js'
import { aCommand } from '../stores/samples.js'
import { registerOverSocketIo, startClusterManager } from './cluster-manager.js'

async function pair (t: Test, REDEPLOY_AFTER_S: number) {
  const server = await startChannel(t, { REDEPLOY_AFTER_S })
  const manager = await startClusterManager(t)
  const id = await registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: manager.port })
  /** Puts further commands about a job that is there into the outbox. */
  async function tell (jobId: string, kinds: Array<'deploy' | 'delete' | 'replicate' | 'move'>): Promise<void> {
    const job = await server.app.jobLifecycle.jobs.find(jobId)
    await server.app.store.jobs.commit([{ job, events: [], commands: kinds.map(kind => aCommand(job, id, kind)) }])
    server.app.jobLifecycle.events.emit('commands', [id])
  }
  const pending = () => server.app.store.outbox.pending(id, { after: 0, limit: 100 })
  return { server, manager, id, tell, pending }
}

t.test('after a delete, the same job is deployed there only when the cluster had time for it; other jobs pass', async t => {
  const { server, manager, id, tell, pending } = await pair(t, 0.6)
  const job = await server.command(id, ['deploy', 'delete', 'deploy', 'replicate'])
  const deleted = await manager.take()
  t.equal(deleted.path, `/api/delete/${job.id}`)
  const other = await server.command(id, ['deploy'])
  const passing = await manager.take()
  t.equal(JSON.parse(passing.body)._id, other.id)
  t.ok(passing.at - deleted.at < 500, 'a new command ends the nap')
  await until(async () => /just removed it/.test((await server.app.jobLifecycle.jobs.find(job.id)).status_reason ?? ''))

  const again = await manager.take()
  t.match([again.path, JSON.parse(again.body)._id], ['/api/deploy', job.id])
  t.ok(again.at - deleted.at >= 590, `after ${Math.round(again.at - deleted.at)} ms`)
  t.match(await manager.take(), { path: '/api/replicate/' })
  await until(async () => (await pending()).length === 0)
  t.equal((await server.app.jobLifecycle.jobs.find(job.id)).status_reason, null)
  await tell(job.id, ['deploy'])
  t.ok((await manager.take()).at - again.at < 500, 'the rest is over')
})

t.test('many commands that rest hold up nobody, keep their order, and a delete among them makes those before it needless', async t => {
  const { server, manager, id, tell, pending } = await pair(t, 1)
  const job = await server.command(id, ['delete'])
  await manager.take()
  await tell(job.id, Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? 'deploy' : 'replicate'))
  const others = [await server.command(id, ['deploy']), await server.command(id, ['delete'])]
  t.equal(JSON.parse((await manager.take()).body)._id, others[0]!.id)
  t.equal((await manager.take()).path, `/api/delete/${others[1]!.id}`)
  await until(async () => (await pending()).length === 40)
  await aWhile()
  t.equal(manager.calls.length, 3)
  await tell(job.id, ['delete', 'deploy'])
  await until(async () => (await pending()).length === 0)
  const paths = manager.calls.slice(3).map(({ path }) => path)
  t.same(paths.slice(-2), [`/api/delete/${job.id}`, '/api/deploy'])
  const [first, ...rest] = paths.slice(0, -2)
  t.equal(first, '/api/deploy')
  t.ok(rest.every((path, index) => path === (index % 2 === 0 ? '/api/replicate/' : '/api/deploy')), 'in turns, as they were given out')
})

t.test('a delete that the cluster did not take begins no rest', async t => {
  const { server, manager, id, pending } = await pair(t, 30)
  manager.answer = ({ path }, reply) => { reply.writeHead(path.startsWith('/api/delete') ? 400 : 200).end('no') }
  await server.command(id, ['delete', 'deploy'])
  t.match([(await manager.take()).path, (await manager.take()).path], [/delete/, '/api/deploy'])
  await until(async () => (await pending()).length === 0)
})
