import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Config } from '../../schemas/config.js'
import type { Job } from '../../schemas/job.js'
import { startSimulatedCluster, type ClusterOptions, type SimulatedCluster } from '../../simulator/cluster.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { startServer, type TestServer } from '../support/server.js'
import { eventually, patience } from '../support/waiting.js'

export const NAME = 'demo.default.service1.test'

/** Settings of a server whose patience lasts for seconds at most. */
export const impatient = (): Partial<Config> => ({
  HEARTBEAT_INTERVAL_S: 1,
  PING_INTERVAL_S: patience(0.3),
  CLUSTER_GRACE_S: patience(1),
  FAILOVER_AFTER_S: patience(1),
  RECONCILE_S: 0.2,
  PLACEMENT_RETRY_S: 0.2,
  COMMAND_RESEND_S: patience(1)
})

export interface World {
  server: TestServer
  /** A cluster that carries out its commands, with plenty of room on three workers. Its location is its name. */
  cluster (name: string, options?: Partial<ClusterOptions>): Promise<SimulatedCluster & { id: string }>
  deploy (more?: string, service?: string): Promise<string>
  job (ref?: string): Promise<Job>
  /** Waits until the job is so. */
  until (holds: (job: Job) => boolean, ref?: string, ms?: number): Promise<Job>
  events (ref?: string): Promise<Array<{ type: string, message: string }>>
  send (method: string, path: string, body?: unknown): Promise<{ status: number, body: any }>
}

export async function startWorld (t: Test, config: Partial<Config> = {}): Promise<World> {
  const server = await startServer(t, { ...impatient(), ...config })
  const job = (ref = NAME) => server.json(`/api/v1/jobs/${ref}`) as Promise<Job>
  return {
    server,
    job,
    until: (holds, ref, ms = 10_000) => eventually(() => job(ref), holds, ms),
    events: async (ref = NAME) => (await server.json(`/api/v1/jobs/${ref}/events?limit=1000`)).items,

    async cluster (name, options = {}) {
      const cluster = startSimulatedCluster({
        url: `${server.url.replace('http', 'ws')}/register`,
        name,
        location: name,
        workers: ['a', 'b', 'c'].map(worker => ({ name: `${name}-${worker}`, cores: 8, memoryMb: 16_000 })),
        delays: { createMs: 10, startMs: 20 },
        backoff: { firstMs: 20, longestMs: 100 },
        heartbeatIntervalS: 0.2,
        ...options
      })
      t.teardown(() => cluster.stop())
      await eventually(async () => cluster.id, id => id !== undefined)
      await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.last_heartbeat_at !== null)
      return cluster as SimulatedCluster & { id: string }
    },

    async deploy (more = '', service = 'service1') {
      const answer = await server.fetch('/api/deploy', asYaml(yamlDescriptor(service, more)))
      if (answer.status !== 200) throw new Error(await answer.text())
      return (await answer.json() as { job_id: string }).job_id
    },

    async send (method, path, body) {
      const answer = await server.fetch(path, { method, ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) })
      const text = await answer.text()
      return { status: answer.status, body: /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : text }
    }
  }
}

/** All its instances run, each in one place. */
export const runs = (replicas: number) => (job: Job) =>
  job.status === 'RUNNING' && job.rollout === null && job.retiring.length === 0 &&
  job.instance_list.length === replicas && job.instance_list.every(({ status, move }) => status === 'RUNNING' && move === null)

/** Where the instances are, in order of number. */
export const places = (job: Job) => job.instance_list.map(entry => entry.cluster_id)

/** How many instances a cluster really runs. */
export const running = (cluster: SimulatedCluster) => cluster.running().flatMap(job => job.instances).length

/** Where a cluster keeps its state between its lives. Not in the fixtures of tap, which go before the cluster does. */
export function stateFile (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'system-manager-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'state.json')
}
