import { EventEmitter } from 'node:events'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Test } from 'tap'
import config, { type Config } from '../../../plugins/config.js'
import errors from '../../../plugins/errors.js'
import leases from '../../../plugins/leases.js'
import loops from '../../../plugins/loops.js'
import store from '../../../plugins/store.js'
import websocket from '../../../plugins/websocket.js'
import clusterChannel from '../../../services/cluster-channel/plugin.js'
import clusterRegistry from '../../../services/cluster-registry/plugin.js'
import type { ClusterReports } from '../../../services/job-lifecycle/operations/cluster-reports.js'
import jobLifecycle from '../../../services/job-lifecycle/plugin.js'
import type { CommandDraft } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import { Problem } from '../../../schemas/errors.js'
import type { Job } from '../../../schemas/job.js'
import type { Store } from '../../../stores/store.js'
import { aCommand, aJob, on } from '../stores/samples.js'

export interface ChannelServer {
  app: FastifyInstance
  port: number
  url: string
  /** What the channel asked of the lifecycle, in order. */
  asked: Array<{ what: keyof ClusterReports, args: unknown[] }>
  /** Lines of the log. */
  log: Array<Record<string, unknown>>
  /** Puts a new job on the cluster and so many commands about it into the outbox. */
  command (clusterId: ClusterId, kinds: Array<CommandDraft['kind']>, more?: Partial<Job>): Promise<Job>
}

/**
 * The channel alone on a loopback port: real store, registry and lifecycle, no scheduler. `lifecycle` replaces single
 * parts of the lifecycle, to fail or to be slow; `store` is one that others use too.
 */
export async function startChannel (t: Test, { lifecycle: replaced = {}, store: shared, ...settings }: Partial<Config> & { lifecycle?: Partial<ClusterReports>, store?: Store } = {}): Promise<ChannelServer> {
  const asked: ChannelServer['asked'] = []
  const log: ChannelServer['log'] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { log.push(JSON.parse(line) as Record<string, unknown>) } } } })
  app.addSchema(Problem)
  await app.register(errors)
  await app.register(config, { config: { DATA_DIR: t.testdir(), ...settings } })
  await app.register(loops)
  await app.register(shared ? fp(async app => { app.decorate('store', shared) }, { name: 'store' }) : store)
  await app.register(websocket)
  await app.register(clusterRegistry)
  await app.register(leases)
  await app.register(fp(async app => { app.decorate('schedulerClient', { events: new EventEmitter<{ changed: [] }>(), place: async () => [], answered () {}, test: async () => 'none' }) }, { name: 'scheduler-client' }))
  await app.register(jobLifecycle)
  Object.assign(app.jobLifecycle.reports, replaced)
  const note = (what: 'acknowledged' | 'refused' | 'heartbeat' | 'result') => {
    const part = app.jobLifecycle.reports[what] as (...args: unknown[]) => unknown
    Object.assign(app.jobLifecycle.reports, { [what]: (...args: unknown[]) => { asked.push({ what, args }); return part(...args) } })
  }
  for (const what of ['acknowledged', 'refused', 'heartbeat', 'result'] as const) note(what)
  await app.register(clusterChannel)
  app.get('/plain', async () => 'plain')
  app.post('/plain', async ({ body }) => body)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    port,
    url: `ws://127.0.0.1:${port}/register`,
    asked,
    log,
    async command (clusterId, kinds, more) {
      const job = on(aJob(more), clusterId)
      const [outcome] = await app.store.jobs.commit([{ job, events: [], commands: kinds.map(kind => aCommand(job, clusterId, kind)) }])
      app.jobLifecycle.events.emit('commands', [clusterId])
      if (outcome?.outcome !== 'saved') throw new Error(`not saved: ${JSON.stringify(outcome)}`)
      return outcome.job
    }
  }
}

/** Waits until `holds`, failing after 5 s. */
export async function until (holds: () => boolean | Promise<boolean>, what = 'it'): Promise<void> {
  const deadline = Date.now() + 5000
  while (!await holds()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come to be`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** For what must not happen: long enough that it would have. */
export const aWhile = (ms = 150) => new Promise(resolve => setTimeout(resolve, ms))
