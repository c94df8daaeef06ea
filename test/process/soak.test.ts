import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { Job } from '../../schemas/job.js'
import { startSimulatedCluster, type SimulatedCluster } from '../../simulator/cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { startServerProcess } from '../support/server-process.js'
import { freePort } from './start-up/free-port.js'

/** Deadlines of seconds, except those that must not expire here: a cluster that was tried is then left alone for a minute. */
const AWAY_S = patience(4)
const IMPATIENT = {
  HEARTBEAT_INTERVAL_S: '1',
  PING_INTERVAL_S: String(patience(0.3)),
  CLUSTER_GRACE_S: String(patience(1)),
  FAILOVER_AFTER_S: String(0.75 * AWAY_S),
  RECONCILE_S: '0.2',
  PLACEMENT_RETRY_S: '0.2',
  COMMAND_RESEND_S: String(patience(0.3)),
  DEADLINE_MOVE_S: String(patience(2)),
  DEADLINE_ROLLOUT_S: String(patience(4)),
  LOG_LEVEL: 'info'
}
const CLUSTERS = ['hpi', 'tum', 'eth']
/** The acts are the same each time; what they meet is not. */
const SEED = 42
const SERVICES = ['one', 'two', 'three']

const service = fc.constantFrom(...SERVICES)
const place = fc.constantFrom(...CLUSTERS)
type Act = { do: 'deploy', service: string, image: string, replicas?: number } | { do: 'scale', service: string, replicas: number } |
  { do: 'move', service: string, to: string, order: string } | { do: 'undeploy', service: string } | { do: 'drop' | 'blink', cluster: string }
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('deploy' as const), service, image: fc.constantFrom('nginx:1', 'nginx:2', 'nginx:3'), replicas: fc.nat(4) }, { requiredKeys: ['do', 'service', 'image'] }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('scale' as const), service, replicas: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('move' as const), service, to: place, order: fc.constantFrom('start-first', 'stop-first') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('undeploy' as const), service }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'blink' as const), cluster: place }) }
)

t.test('after random work, broken connections, dead clusters and a killed server every instance runs exactly once', async t => {
  const acts = fc.sample(act, { seed: SEED, numRuns: 90 })
  const port = await freePort()
  const folder = t.testdir()
  const env = { ...IMPATIENT, MY_PORT: String(port), DATA_DIR: join(folder, 'data') }
  const url = `http://127.0.0.1:${port}`
  let server = await startServerProcess(t, env)

  const stateOf = (name: string) => join(folder, `${name}.json`)
  const clusters = new Map<string, SimulatedCluster>()
  const start = (name: string) => clusters.set(name, startSimulatedCluster({
    url: `${url.replace('http', 'ws')}/register`,
    name,
    location: name,
    workers: ['a', 'b'].map(worker => ({ name: `${name}-${worker}`, cores: 64, memoryMb: 64_000 })),
    delays: { createMs: 20, startMs: 40 },
    backoff: { firstMs: 20, longestMs: 200 },
    heartbeatIntervalS: 0.2,
    stateFile: stateOf(name)
  }))
  const all = () => [...clusters.values()]
  for (const name of CLUSTERS) start(name)
  t.teardown(() => Promise.all(all().map(cluster => cluster.kill())))
  await eventually(async () => all().every(({ registered }) => registered), Boolean)

  /** What the server says of it; undefined while it is away. */
  async function send (method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(url + path, { method, ...body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } }).catch(() => undefined)
    if (answer && answer.status >= 500) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return await answer?.json().catch(() => undefined)
  }

  async function take (step: Act): Promise<void> {
    if ('cluster' in step) {
      if (step.do === 'drop') return clusters.get(step.cluster)!.dropConnection()
      await clusters.get(step.cluster)!.kill()
      start(step.cluster)
      return
    }
    const job = `/api/v1/jobs/demo.default.${step.service}.test`
    if (step.do === 'scale') await send('PATCH', job, { replicas: step.replicas })
    else if (step.do === 'move') await send('POST', `${job}/move`, { to: step.to, order: step.order })
    else if (step.do === 'undeploy') await send('DELETE', job)
    else await send('POST', '/api/deploy', { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: step.service, service_ns: 'test', image: step.image, image_runtime: 'docker', requirements: { cpu: 0.1, memory: 10 }, ...step.replicas !== undefined && { replicas: step.replicas } })
  }

  async function work (some: Act[]): Promise<void> {
    for (const step of some) {
      await take(step)
      await sleep(40)
    }
  }

  await work(acts.slice(0, 25))
  // One is away for so long that its instances are started elsewhere, and has lost all that it had when it is back.
  await clusters.get('eth')!.kill()
  clusters.delete('eth')
  const awayUntil = Date.now() + AWAY_S * 1000
  await work(acts.slice(25, 60).filter(step => !('cluster' in step && step.cluster === 'eth')))
  await server.end('SIGKILL')
  server = await startServerProcess(t, env)
  await sleep(Math.max(0, awayUntil - Date.now()))
  rmSync(stateOf('eth'), { force: true })
  start('eth')
  await work(acts.slice(60))

  /** What is not as it is to be in the end, from the API's point of view and from the clusters'. */
  async function unrest (): Promise<string[]> {
    const jobs = (await send('GET', '/api/v1/jobs?limit=500') as { items: Job[] }).items
    const found: string[] = []
    const listed: string[] = []
    for (const job of jobs) {
      const { job_name: name, instance_list: list, rollout, retiring, descriptor } = job
      if (job.desired_state === 'undeployed' && job.status !== 'UNDEPLOYED') found.push(`${name} is not undeployed`)
      if (rollout || retiring.length > 0) found.push(`${name} is being changed`)
      if (job.desired_state === 'running' && list.length !== job.replicas) found.push(`${name} has ${list.length} of ${job.replicas} instances`)
      for (const { instance_number: number, status, status_reason: why, cluster_id: cluster, move } of list) {
        if (status !== 'RUNNING' || move) found.push(`${name} ${number} is ${status}: ${why}`)
        listed.push(`${job.id} ${number} ${cluster} ${descriptor.image}`)
      }
    }
    const run = all().flatMap(cluster => cluster.running().flatMap(({ job_id: id, instances }) => instances.map(({ instance_number: number, image }) => `${id} ${number} ${cluster.id} ${image}`)))
    for (const instance of run) if (!listed.includes(instance)) found.push(`runs, and is not listed: ${instance}`)
    for (const instance of listed) if (!run.includes(instance)) found.push(`is listed, and does not run: ${instance}`)
    return found
  }

  await eventually(unrest, found => found.length === 0, 15_000)
  t.equal(await server.end('SIGTERM'), 0)
})
