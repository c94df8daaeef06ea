import t, { type Test } from 'tap'
import { aWhile, until } from '../channel/channel-server.js'
import { aCommand, saved } from '../stores/samples.js'
import { deployed, settled, startAgentPair } from './pair.js'

async function startDelayed (t: Test, REDEPLOY_AFTER_S: number) {
  const { server, manager, id } = await startAgentPair(t, { REDEPLOY_AFTER_S })
  /** Puts further commands about a job that is there into the outbox. */
  async function add (jobId: string, kinds: Array<'deploy' | 'delete' | 'replicate' | 'move'>): Promise<void> {
    const job = (await server.store.jobs.get(jobId))!
    await saved(server.store, job, { commands: kinds.map(kind => aCommand(job, id, kind)) })
  }
  return { server, manager, id, add }
}

t.test('after a delete, the same job is deployed there only when the cluster had time for it; other jobs pass', async t => {
  const { server, manager, id, add } = await startDelayed(t, 3)
  const job = await server.command(id, ['deploy', 'delete', 'deploy', 'replicate'])
  const deleted = await manager.take()
  t.equal(deleted.path, `/api/delete/${job.id}`)
  const other = await server.command(id, ['deploy'])
  const passing = await manager.take()
  t.equal(deployed(passing), other.id)
  t.ok(passing.at - deleted.at < 2900, 'a new command ends the pause')
  await until(async () => /just removed it/.test((await server.job(job.id)).status_reason ?? ''))

  const again = await manager.take()
  t.match([again.path, deployed(again)], ['/api/deploy', job.id])
  t.ok(again.at - deleted.at >= 2990, `after ${Math.round(again.at - deleted.at)} ms`)
  t.match(await manager.take(), { path: '/api/replicate/' })
  await settled(server, id)
  await until(async () => (await server.job(job.id)).status_reason === null)
  await add(job.id, ['deploy'])
  t.ok((await manager.take()).at - again.at < 2900, 'the delay is over')
})

t.test('many commands that are delayed hold up nobody, keep their order, and a delete among them makes those before it needless', async t => {
  const { server, manager, id, add } = await startDelayed(t, 4)
  const job = await server.command(id, ['delete'])
  await manager.take()
  await add(job.id, Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? 'deploy' : 'replicate'))
  const others = [await server.command(id, ['deploy']), await server.command(id, ['delete'])]
  t.equal(deployed(await manager.take()), others[0]!.id)
  t.equal((await manager.take()).path, `/api/delete/${others[1]!.id}`)
  await until(async () => (await server.pending(id)).length === 40)
  await aWhile()
  t.equal(manager.calls.length, 3)
  await add(job.id, ['delete', 'deploy'])
  await settled(server, id)
  const paths = manager.calls.slice(3).map(({ path }) => path)
  t.same(paths.slice(-2), [`/api/delete/${job.id}`, '/api/deploy'])
  const [first, ...rest] = paths.slice(0, -2)
  t.equal(first, '/api/deploy')
  t.ok(rest.every((path, index) => path === (index % 2 === 0 ? '/api/replicate/' : '/api/deploy')), 'in turns, as they were given out')
})

t.test('a delay is about one job: of two, each is deployed at the end of its own', async t => {
  const { server, manager, id } = await startDelayed(t, 3)
  const first = await server.command(id, ['delete', 'deploy'])
  const firstDeleted = await manager.take()
  await aWhile(1500)
  const second = await server.command(id, ['delete', 'deploy'])
  const secondDeleted = await manager.take()
  const again = [await manager.take(), await manager.take()]
  t.same(again.map(deployed), [first.id, second.id])
  t.ok(again[0]!.at - firstDeleted.at >= 2990)
  t.ok(again[0]!.at - secondDeleted.at < 2900, 'the first does not wait for the second')
  t.ok(again[1]!.at - secondDeleted.at >= 2990)
  await settled(server, id)
})

t.test('a delete that the cluster did not take begins no delay', async t => {
  const { server, manager, id } = await startDelayed(t, 30)
  manager.answer = ({ path }, reply) => { reply.writeHead(path.startsWith('/api/delete') ? 400 : 200).end('no') }
  await server.command(id, ['delete', 'deploy'])
  t.match([(await manager.take()).path, (await manager.take()).path], [/delete/, '/api/deploy'])
  await settled(server, id)
})
