import t from 'tap'
import { aWhile, until, type ChannelServer } from '../channel/channel-server.js'
import { anInstance, aCommand, aJob, on, saved } from '../stores/samples.js'
import { registerOverSocketIo, startClusterManager, status } from './cluster-manager.js'
import { deployed, settled, startPair } from './pair.js'

const reason = async (server: ChannelServer, id: string): Promise<string> => (await server.job(id)).status_reason ?? ''

t.test('a cluster that is away gets its commands in order when it is back; until then the jobs show why they wait', async t => {
  const { server, manager, id } = await startPair(t)
  await manager.hangUp()
  const jobs = [await server.command(id, ['deploy']), await server.command(id, ['deploy'])]
  await until(async () => /cannot be reached/.test(await reason(server, jobs[1]!.id)))
  t.equal(await reason(server, jobs[0]!.id), `hpi at 127.0.0.1:${manager.port} cannot be reached, it is tried again: http://127.0.0.1:${manager.port}: connect ECONNREFUSED 127.0.0.1:${manager.port}`)
  await manager.listen()
  await server.heartbeat(id, {})
  t.same([await manager.take(), await manager.take()].map(deployed), jobs.map(job => job.id))
  await settled(server, id)
  await until(async () => await reason(server, jobs[0]!.id) === '', 'the reason to go')
  t.equal((await server.events(jobs[0]!.id)).filter(({ type }) => type === 'delivery').length, 2, 'one event for being away, one for being back')
})

t.test('a cluster that is away is not tried in a busy loop, however lively it is', async t => {
  const { server, manager, id } = await startPair(t)
  manager.answer = status(503)
  await server.command(id, ['deploy'])
  await manager.take()
  const lively = setInterval(() => { server.heartbeat(id, {}).catch(() => {}) }, 5)
  t.teardown(() => clearInterval(lively))
  await aWhile(2200)
  t.ok(manager.calls.length > 1 && manager.calls.length < 8, `${manager.calls.length} calls`)
})

t.test('an answer that never ends is cut off, and its status counts', async t => {
  const { server, manager, id } = await startPair(t)
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
  const { server, manager, id } = await startPair(t)
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
  const { server, manager, id } = await startPair(t, { CLUSTER_ANSWER_S: 0.2 })
  manager.answer = () => { manager.answer = status(200) }
  const { id: jobId } = await server.command(id, ['deploy'])
  await until(async () => /Headers Timeout Error/.test(await reason(server, jobId)))
  await settled(server, id)
  t.equal(manager.calls.length, 2)
})

t.test('each command that the cluster fails at is refused after five tries, with its reason', async t => {
  const { server, manager, id } = await startPair(t)
  await server.heartbeat(id)
  const ids = [await server.deploy('a'), await server.deploy('b')]
  await until(() => manager.calls.length === 2)
  await settled(server, id)
  await server.heartbeat(id, { jobs: ids.map(job => ({ system_job_id: job, status: 'DEPLOYED' })) })
  manager.answer = status(500, 'database is locked')
  for (const job of ids) await server.undeploy(job)
  const lively = setInterval(() => { server.heartbeat(id, {}).catch(() => {}) }, 50)
  t.teardown(() => clearInterval(lively))
  await until(async () => /failed: HTTP 500/.test(await reason(server, ids[0]!)))
  for (const job of ids) await until(async () => await reason(server, job) === 'being removed: the cluster refused: HTTP 500: database is locked')
  await settled(server, id)
  t.same(manager.calls.slice(2).map(({ path }) => path), ids.flatMap(job => Array.from({ length: 5 }, () => `/api/delete/${job}`)))
})

t.test('of a refusal the last line is the reason, clean and no longer than 120 characters', async t => {
  const { server, manager, id } = await startPair(t)
  const frame = '  File "/opt/cluster/app.py", line 7, in deploy\n    place(job)\n'
  const frames = frame.repeat(200)
  for (const [text, told] of [
    ['x'.repeat(10_000), 'x'.repeat(120)],
    [`Traceback (most recent call last):\n${frames}KeyError: 'node'\n\n`, "KeyError: 'node'"],
    ['no\x07 \u202eroom\r\n \t\n', 'no room'],
    ['', undefined]
  ] as const) {
    manager.answer = status(400, text)
    const job = await server.command(id, ['deploy'])
    await settled(server, id)
    t.equal(await reason(server, job.id), `the cluster refused: HTTP 400${told === undefined ? '' : `: ${told}`}`)
  }
})

t.test('an answer that stops in the middle is not waited for any longer than 5 s, and its status counts', async t => {
  const { server, manager, id } = await startPair(t)
  manager.answer = (_call, reply) => { reply.writeHead(200, { 'content-type': 'text/plain' }).write('o') }
  await server.command(id, ['deploy'])
  await manager.take()
  const began = performance.now()
  await settled(server, id)
  t.ok(performance.now() - began > 3000, 'it had its time')
  t.equal(manager.calls.length, 1)
})

t.test('what cannot be delivered is a reason of the instances that wait for it, and of no others', async t => {
  const { server, manager, id } = await startPair(t)
  await manager.hangUp()
  const other = await registerOverSocketIo(server.port, { cluster_name: 'tum', manager_port: (await startClusterManager(t)).port })
  const job = aJob({
    instances: 3,
    instance_list: [
      anInstance(0, { cluster_id: other, status: 'CLUSTER_SCHEDULED' }),
      anInstance(1, { cluster_id: id, status: 'CLUSTER_SCHEDULED' }),
      anInstance(2, { cluster_id: id, status: 'RUNNING' })
    ]
  })
  await saved(server.store, job, { commands: [aCommand(job, id)] })
  await until(async () => /^instance 1: .*cannot be reached/.test((await server.events(job.id)).length > 0 ? `instance 1: ${(await server.job(job.id)).instance_list[1]!.status_reason}` : ''))
  t.match((await server.job(job.id)).instance_list, [{ status_reason: null }, { status_reason: /^hpi at .* cannot be reached/ }, { status_reason: null }])
  t.match(await server.events(job.id), [{ type: 'delivery', cluster_id: id }])

  const removed = {
    ...on(aJob(), other),
    desired_state: 'undeployed' as const,
    instance_list: [],
    retiring: [
      {
        command_id: 'x',
        cluster_id: other,
        instances: [],
        error: null,
        since: new Date(0).toISOString(),
        released: false,
        original: false,
        told: null
      }
    ]
  }
  const { status_reason: before } = await saved(server.store, removed, { commands: [aCommand(removed, id, 'delete')] })
  await until(() => server.log.filter(({ msg }) => msg === 'a command could not be pushed').length > 3, 'further tries')
  t.equal(await reason(server, removed.id), before ?? '', 'another cluster is to remove it')
})

t.test('a cluster that is removed while it is away is tried no more, and its end is no error', async t => {
  const { server, manager, id } = await startPair(t)
  await manager.hangUp()
  const job = await server.command(id, ['deploy'])
  await until(async () => /cannot be reached/.test(await reason(server, job.id)))
  t.equal((await server.fetch(`/api/v1/clusters/${id}?force=true`, { method: 'DELETE' })).status, 204)
  const lines = server.log.length
  await aWhile(2000)
  t.same(server.log.slice(lines).filter(({ level, msg }) => level > 40 || msg === 'a command could not be pushed'), [])
})

t.test('one cluster that does not answer delays no other', async t => {
  const { server, manager: slow, id: slowId } = await startPair(t)
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
