import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetch, FormData } from 'undici'
import { readConfig } from '../plugins/config.js'
import type { Cluster } from '../schemas/cluster.js'
import type { Job } from '../schemas/job.js'
import type { JobEvent } from '../schemas/job-event.js'
import { startSimulatedCluster, type SimulatedCluster } from './cluster.js'

const DESCRIPTOR = 'examples/deploy.yaml'
const POLL_MS = 200
/** Milliseconds after which the demo reports that a step takes long. */
const PATIENCE_MS = 30_000

/** hpi has the worker that the example descriptor names. */
const CLUSTERS = [
  { name: 'hpi', workers: ['vm-20211019-009', 'vm-20211019-010', 'vm-20211019-011'] },
  { name: 'tum', workers: ['vm-20211020-001', 'vm-20211020-002', 'vm-20211020-003'] }
]

function say (text: string) {
  process.stdout.write(`${text}\n`)
}

function clock (time: Date | string): string {
  return new Date(time).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3
  })
}

/** Sends a request to the System Manager. Any answer but success is an Error with its text. */
async function ask<T> (
  base: string,
  path: string,
  signal: AbortSignal,
  init: { method?: string, body?: FormData } = {}
): Promise<T> {
  const response = await fetch(base + path, { ...init, signal })
  const text = await response.text()
  if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path} answered ${response.status}:\n${text}`)
  return JSON.parse(text) as T
}

/** Tries until there is a result. Reports once, with the text of `what`, that it takes long. */
async function until<T> (what: string, signal: AbortSignal, attempt: () => Promise<T | undefined>): Promise<T> {
  const started = Date.now()
  let complained = false
  for (;;) {
    const found = await attempt()
    if (found !== undefined) return found
    if (!complained && Date.now() - started > PATIENCE_MS) {
      complained = true
      say(`Still waiting after ${PATIENCE_MS / 1000} s: ${what}`)
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

function startClusters (base: string): SimulatedCluster[] {
  return CLUSTERS.map(({ name, workers }) => {
    const cluster = startSimulatedCluster({
      url: `${base.replace(/^http/, 'ws')}/register`,
      name,
      location: name,
      workers: workers.map(worker => ({ name: worker, cores: 4, memoryMb: 8192 }))
    })
    cluster.events.on('problem', text => say(`Cluster ${name}: ${text}`))
    return cluster
  })
}

/** Deploys the example, as `curl -F file=@deploy.yaml` would. */
async function deploy (base: string, signal: AbortSignal): Promise<{ job_id: string, job_name: string }> {
  const form = new FormData()
  form.set('file', new Blob([await readFile(DESCRIPTOR)]), 'deploy.yaml')
  return ask(base, '/api/deploy', signal, { method: 'POST', body: form })
}

/** Prints the new events of the job until it runs. */
async function follow (
  base: string,
  jobId: string,
  since: number,
  clusters: SimulatedCluster[],
  signal: AbortSignal
): Promise<Job> {
  let last = 0
  return until(`${jobId} is not RUNNING; see ${base}/api/v1/jobs/${jobId}`, signal, async () => {
    // Read before its events, so that these include all that led to its status.
    const job = await ask<Job>(base, `/api/v1/jobs/${jobId}`, signal)
    const { items } = await ask<{ items: JobEvent[] }>(
      base,
      `/api/v1/jobs/${jobId}/events?after=${last}&limit=1000`,
      signal
    )
    for (const event of items) {
      last = event.id
      // Events of an earlier demo, whose data was kept, are not printed.
      if (Date.parse(event.time) >= since) {
        say(`  ${clock(event.time)}  ${(event.to ?? event.type).padEnd(18)} ${event.message}`)
      }
    }
    // After a restart the database may still hold an old RUNNING: only the cluster itself knows.
    const runs = clusters.some(cluster =>
      cluster.running().some(({ job_id: id, status }) => id === jobId && status === 'RUNNING')
    )
    return runs && job.status === 'RUNNING' && job.instance_list.every(({ host_ip: host }) => host) ? job : undefined
  })
}

function conclude (base: string, job: Job, clusters: SimulatedCluster[]) {
  const name = (id: string) => clusters.find(cluster => cluster.id === id)?.name ?? id
  const lines = [
    ...job.service_ip_list.map(({ IpType, Address }) => `  service (${IpType})   ${Address}`),
    ...job.instance_list.map(instance =>
      `  instance ${instance.instance_number}     ${instance.instance_ip}  on cluster ${name(instance.cluster_id)}, ` +
        `host ${instance.host_ip}:${instance.host_port}`
    )
  ]
  say(`
${job.job_name} is RUNNING
${lines.join('\n')}

Try next:
  curl ${base}/api/job/status/${job.job_name}
  curl ${base}/api/jobs
  curl ${base}/api/clusters
  curl ${base}/api/delete/${job.job_name}
  ${base}/docs
Ctrl-C ends the demo.`)
}

async function show (base: string, clusters: SimulatedCluster[], signal: AbortSignal) {
  await until(`${base}/status does not answer`, signal, async () => {
    const response = await fetch(`${base}/status`, { signal }).catch(() => undefined)
    return response?.ok ? true : undefined
  })
  say(`The System Manager answers at ${base}`)

  clusters.push(...startClusters(base))
  await until('the clusters are not active', signal, async () => {
    const active = await ask<Cluster[]>(base, '/api/clusters', signal)
    const names = new Set(active.map(cluster => cluster.cluster_name))
    return clusters.every(cluster => cluster.registered && names.has(cluster.name)) || undefined
  })
  for (const { name, workers } of CLUSTERS) say(`Cluster ${name} is active, with ${workers.join(', ')}`)

  const started = Date.now()
  const { job_id: jobId, job_name: jobName } = await deploy(base, signal)
  say(`Deployed ${DESCRIPTOR} as ${jobName}, job ${jobId}`)
  conclude(base, await follow(base, jobId, started, clusters, signal), clusters)
}

/** URL of the server that runs beside the demo. */
function address (): string {
  const { MY_HOST: host, MY_PORT: port } = readConfig(process.env)
  const everywhere = ['::', '0.0.0.0'].includes(host)
  return `http://${everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host}:${port}`
}

const ended = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort())
const clusters: SimulatedCluster[] = []
try {
  await show(address(), clusters, ended.signal)
} catch (err) {
  if (!ended.signal.aborted) {
    say(`The demo failed: ${(err as Error).message}\nServer and clusters go on; Ctrl-C ends them.`)
  }
}
// The clusters stay up to experiment with, even if the demo failed.
if (!ended.signal.aborted) await sleep(2 ** 31 - 1, undefined, { signal: ended.signal }).catch(() => {})
await Promise.all(clusters.map(cluster => cluster.stop()))
