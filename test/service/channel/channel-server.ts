import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Config } from '../../../schemas/config.js'
import type { CommandDraft } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job, JobId } from '../../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { ROOMY } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'
import { aCommand, aJob, on, saved } from '../stores/samples.js'

type LogLine = Record<string, unknown> & { level: number, msg: string }

/** A whole System Manager, as the tests of the ways to the clusters use it. */
export interface ChannelServer extends TestServer {
  port: number
  /** Where clusters open their channel. */
  channel: string
  log: LogLine[]
  /** Bytes that wait for the peer that reads least. */
  waiting (): number
  /** Deploys a service by its file; gives the id of the job. */
  deploy (serviceName: string, more?: string): Promise<JobId>
  undeploy (id: JobId): Promise<void>
  /** A heartbeat over HTTP, of plenty of room by default. */
  heartbeat (id: ClusterId, body?: object): Promise<void>
  job (id: JobId): Promise<Job>
  events (id: JobId): Promise<Array<{ type: string, message: string, cluster_id?: string }>>
  /** What GET /api/v1/clusters/:id shows. */
  cluster (id: ClusterId): Promise<any>
  /** Puts a job on the cluster with so many commands about it, as another process would: the sweep finds them. */
  command (clusterId: ClusterId, kinds: Array<CommandDraft['kind']>, more?: Partial<Job>): Promise<Job>
  /** Seqs of the commands that are not settled. */
  pending (clusterId: ClusterId): Promise<number[]>
}

/** Room for any number of services. */
export const HUGE = { ...ROOMY, cpu_cores: 10_000, cumulative_memory_in_mb: 10_000_000 }

export async function startChannel (t: Test, settings: Partial<Config> = {}): Promise<ChannelServer> {
  const log: LogLine[] = []
  let app!: FastifyInstance
  const server = await startServer(t, { SWEEP_S: 0.05, ...settings }, {
    logger: { level: 'debug', stream: { write: (line: string) => { log.push(JSON.parse(line) as LogLine) } } },
    look: inside => { app = inside }
  })
  const { port } = new URL(server.url)
  return {
    ...server,
    port: Number(port),
    channel: `ws://127.0.0.1:${port}/register`,
    log,
    waiting: () => Math.max(0, ...[...app.websocketServer.clients].map(socket => socket.bufferedAmount)),
    async deploy (serviceName, more) {
      const answer = await server.fetch('/api/deploy', asYaml(yamlDescriptor(serviceName, more)))
      if (answer.status !== 200) throw new Error(await answer.text())
      return (await answer.json() as { job_id: JobId }).job_id
    },
    async undeploy (id) {
      const answer = await server.fetch(`/api/delete/${id}`)
      if (answer.status !== 200) throw new Error(await answer.text())
    },
    async heartbeat (id, body = HUGE) {
      await server.fetch(`/api/information/${id}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    },
    job: id => server.json(`/api/v1/jobs/${id}`),
    events: async id => (await server.json(`/api/v1/jobs/${id}/events`)).items,
    cluster: id => server.json(`/api/v1/clusters/${id}`),
    async command (clusterId, kinds, more) {
      const job = on(aJob(more), clusterId)
      return await saved(server.store, job, { commands: kinds.map(kind => aCommand(job, clusterId, kind)) })
    },
    pending: async id => (await server.store.outbox.pending(id, { after: 0, limit: 1000 })).map(({ seq }) => seq)
  }
}

/** Milliseconds after which what a test waits for will not come: generous, since a machine may be busy. */
const PATIENCE_MS = 20_000

/** Waits until `holds`. */
export async function until (holds: () => boolean | Promise<boolean>, what = 'it'): Promise<void> {
  await eventually(async () => await holds() || what, held => held === true, PATIENCE_MS)
}

/** For what must not happen: long enough that it would have. */
export const aWhile = (ms = 150) => new Promise(resolve => setTimeout(resolve, ms))
