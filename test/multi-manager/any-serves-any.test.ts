import t from 'tap'
import { connectCluster, type RawCluster } from '../support/raw-cluster.js'
import { eventually } from '../support/waiting.js'
import { deploy, get, HUGE, post, startSeveral } from './world.js'

const { servers: [leader, socket, users] } = await startSeveral(t, 3)
if (!leader || !socket || !users) throw new Error('three were to start')
const all = [leader, socket, users]

interface Delivered { seq: number, command_id: string, kind: string, job_id: string }

/** Takes this number of commands and acknowledges each. */
async function takeAll (cluster: RawCluster, count: number): Promise<Delivered[]> {
  const taken: Delivered[] = []
  while (taken.length < count) {
    const command = await cluster.take('command') as Delivered
    cluster.send('ack', { seq: command.seq })
    taken.push(command)
  }
  return taken
}

const seqs = (commands: Delivered[]) => commands.map(({ seq }) => seq)
const from = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

t.test('any process serves any request, and commands come from the one with the socket, whichever caused them', async t => {
  const cluster = await connectCluster(t, socket.url, { cluster_name: 'hpi', cluster_location: 'hpi' })
  for (const server of all) t.equal((await post(server, `/api/information/${cluster.id}`, HUGE)).status, 200)
  await eventually(() => get(users, `/api/v1/clusters/${cluster.id}`), seen => seen.connected && seen.active)

  // Deployed at each in turn, placed by the leader.
  const jobs = await Promise.all(from(0, 30).map(index => deploy(all[index % 3]!, `a${index}`)))
  const deploys = await takeAll(cluster, 30)
  t.same(seqs(deploys), from(1, 30))
  t.same(new Set(deploys.map(command => command.job_id)), new Set(jobs))

  // What one has taken, the others know at once.
  for (const [index, id] of jobs.slice(0, 10).entries()) {
    const here = all[index % 3]!
    const there = all[(index + 1) % 3]!
    t.equal((await get(there, `/api/v1/jobs/${id}`)).id, id)
    t.equal((await post(here, '/api/replicate', { job_id: id, replicas: 2 })).status, 200)
    t.equal((await fetch(`${there.url}/api/delete/${id}`)).status, 200)
  }
  // The leader may place the second instance before the delete or not at all: what comes is in order in either case.
  const lastOf = new Map<string, string>()
  let seq = 30
  while ([...lastOf.values()].filter(kind => kind === 'delete').length < 10) {
    const [command] = await takeAll(cluster, 1)
    t.equal(command!.seq, ++seq)
    t.not(lastOf.get(command!.job_id), 'delete', 'nothing comes after the delete')
    lastOf.set(command!.job_id, command!.kind)
  }
  await eventually(() => get(leader, `/api/v1/jobs/${jobs[0]}`), job => job.status === 'UNDEPLOYED')

  // Heartbeats come to each in turn; what they say is seen by all.
  for (const [index, status] of ['NODE_SCHEDULED', 'CREATED', 'DEPLOYED', 'RUNNING'].entries()) {
    await post(all[index % 3]!, `/api/information/${cluster.id}`, { ...HUGE, jobs: [{ system_job_id: jobs[20], status }] })
    t.equal((await get(all[(index + 1) % 3]!, `/api/v1/jobs/${jobs[20]}`)).status, status)
  }
  cluster.close()
})

t.test('a cluster that comes back to another replaces its older session, whose late end changes nothing', async t => {
  const older = await connectCluster(t, socket.url, { cluster_name: 'tum', cluster_location: 'tum' })
  older.send('information', HUGE)
  const first = await deploy(users, 'b0', 'cluster_location: tum\n')
  t.match(await older.take('command'), { seq: 1, job_id: first })

  const began = performance.now()
  const newer = await connectCluster(t, users.url, { cluster_name: 'tum', cluster_location: 'tum', last_seq: 1 })
  t.equal(newer.id, older.id)
  t.equal(await older.closed, 4001)
  t.comment(`the older session was closed after ${Math.round(performance.now() - began)} ms`)
  const jobs = await Promise.all(from(1, 12).map(index => deploy(all[index % 3]!, `b${index}`, 'cluster_location: tum\n')))
  const commands = await takeAll(newer, 12)
  t.same(seqs(commands), from(2, 12))
  t.same(new Set(commands.map(command => command.job_id)), new Set(jobs))
  t.equal(older.frames.filter(({ event }) => event === 'command').length, 1, 'the older one has got nothing more')
  for (const server of all) t.equal((await get(server, `/api/v1/clusters/${newer.id}`)).connected, true)
})
