import t from 'tap'
import { registerOverSocketIo, startClusterManager } from '../service/http-push/cluster-manager.js'
import { eventually, patience } from '../support/waiting.js'
import { deploy, get, HUGE, portOf, post, startSeveral, undeploy } from './world.js'

/** Seconds within which another has to take over. */
const TAKE_OVER_S = 15

t.test('of several one pushes, in order; when it is killed another goes on', async t => {
  const several = await startSeveral(t, 2)
  const [a, b] = several.servers as [typeof several.servers[0], typeof several.servers[0]]
  const manager = await startClusterManager(t)
  let open = 0
  let most = 0
  manager.answer = (_call, reply) => {
    most = Math.max(most, ++open)
    setTimeout(() => { open--; reply.end('ok') }, 5)
  }
  const id = await registerOverSocketIo(portOf(b), { cluster_name: 'hpi', manager_port: manager.port })
  await post(b, `/api/information/${id}`, HUGE)

  /** What came about each job, in order. */
  function story (calls = manager.calls): Map<string, string[]> {
    const told = new Map<string, string[]>()
    for (const { path, body } of calls) {
      const { _id, job = _id } = body === '' ? { job: path.split('/').at(-1) } : JSON.parse(body)
      const before = told.get(job) ?? []
      // A call whose answer got lost is made again.
      if (before.at(-1) !== path) told.set(job, [...before, path])
    }
    return told
  }

  const jobs = await Promise.all(Array.from({ length: 12 }, (_, index) => deploy(index % 2 ? a : b, `a${index}`)))
  await eventually(async () => manager.calls.length, calls => calls === 12)
  for (const [index, job] of jobs.entries()) t.equal((await post(index % 2 ? b : a, '/api/nodes/move', { job_id: job, cluster: 'hpi', from_node: 'n1', to_node: 'n2' })).status, 200)
  await eventually(async () => manager.calls.length, calls => calls === 24)
  t.equal(most, 1, 'one call at a time')
  t.same([...story().values()], jobs.map(() => ['/api/deploy', '/api/move/']))
  const move = manager.calls.find(({ path, body }) => path === '/api/move/' && body.includes(jobs[3]!))!
  t.match(move, { method: 'POST', contentType: 'application/json', body: `{"job":"${jobs[3]}","node_from":"n1","node_to":"n2"}` })

  // In the middle of a burst, with a call on its way.
  const doomed = (await eventually(() => several.holder('http-push'), holder => holder !== undefined))!
  const heir = doomed === a ? b : a
  const more = await Promise.all(Array.from({ length: 12 }, (_, index) => deploy(heir, `b${index}`)))
  await eventually(async () => manager.calls.length, calls => calls >= 28)
  await doomed.end('SIGKILL')
  const killed = performance.now()
  const before = manager.calls.length
  for (const job of more) await undeploy(heir, job)
  await post(heir, `/api/information/${id}`, HUGE)
  await eventually(async () => Promise.all(more.map(async job => (await get(heir, `/api/v1/jobs/${job}`)).status as string)), statuses => statuses.every(status => status === 'UNDEPLOYED'), TAKE_OVER_S * 1000)
  const tookOver = manager.calls[before]!.at - killed
  t.ok(tookOver < patience(TAKE_OVER_S * 1000), `took over after ${Math.round(tookOver)} ms`)
  t.equal(most, 1)
  const told = story()
  for (const job of more) {
    const calls = told.get(job) ?? []
    t.ok(calls.length === 0 || calls.at(-1) === `/api/delete/${job}`, `ends with its delete: ${calls.join(', ')}`)
    t.ok(calls.length <= 2 && (calls.length < 2 || calls[0] === '/api/deploy'), 'deploy before delete')
  }
})
