import type { Test } from 'tap'
import type { Config } from '../../../schemas/config.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startFakeScheduler, type FakeScheduler } from '../../support/fake-scheduler.js'
import { connectCluster, ROOMY, type RawCluster } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'
import { registered } from '../stores/samples.js'

/** A System Manager that asks a fake Cloud Scheduler, and what the tests do with it. */
export interface Orchestrator {
  server: TestServer
  scheduler: FakeScheduler
  /** Deploys and gives the id. */
  deploy (serviceName?: string, more?: string): Promise<string>
  job (ref: string): Promise<any>
  /** The job once it has this status, or its reason matches. */
  until (ref: string, expected: string | RegExp): Promise<any>
  /** A cluster whose figures say that it has room. */
  cluster (name: string, figures?: Record<string, unknown>): Promise<RawCluster>
}

/** A cluster in the store that gave its last sign of life, and its figures, so many seconds ago. Its id. */
export async function silentFor ({ store: { clusters } }: TestServer, seconds: number, name = 'hpi'): Promise<string> {
  const then = Date.now() - seconds * 1000
  const { id } = await registered({ clusters }, name, then)
  await clusters.heartbeat(id, { total_cpu_cores: 4, memory_in_mb: 8000, technology: ['docker'], warnings: [] }, then)
  return id
}

export async function startOrchestrator (t: Test, config: Partial<Config> = {}): Promise<Orchestrator> {
  const scheduler = await startFakeScheduler(t)
  const server = await startServer(t, { ...scheduler.config, ...config })
  const job = (ref: string) => server.json(`/api/v1/jobs/${ref}`)
  return {
    server,
    scheduler,
    job,
    async deploy (serviceName = 'service1', more = '') {
      return (await (await server.fetch('/api/deploy', asYaml(yamlDescriptor(serviceName, more)))).json() as { job_id: string }).job_id
    },
    until: (ref, expected) => eventually(() => job(ref), seen => typeof expected === 'string' ? seen.status === expected : expected.test(seen.status_reason ?? '')),
    async cluster (name, figures = {}) {
      const cluster = await connectCluster(t, server.url, { cluster_name: name, cluster_location: name })
      cluster.send('information', { ...ROOMY, ...figures })
      await eventually(() => server.json(`/api/v1/clusters/${cluster.id}`), seen => seen.last_heartbeat_at !== null)
      return cluster
    }
  }
}
