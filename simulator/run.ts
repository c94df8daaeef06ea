import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSimulatedCluster, type ClusterOptions, type SimulatedCluster } from './cluster.js'

const HELP =
  `Simulated clusters: they register with a System Manager over its raw WebSocket channel and run the jobs it sends.

Usage: node dist/simulator/run.js [options]

  --url URL             Channel of the System Manager (default: ws://localhost:10000/register)
  --cluster NAME        Name of the cluster; with --clusters, the prefix of the names (default: sim)
  --location NAME       Location of the cluster (default: none)
  --clusters N          Number of clusters, NAME-1 to NAME-N (default: one, NAME)
  --workers N           Workers of each cluster (default: 3)
  --cores N             Cores of each worker (default: 4)
  --memory MB           Memory of each worker (default: 8192)
  --technology NAME     Runtime that the workers offer; may be repeated (default: docker)
  --advertise ADDRESS   Address to advertise for the cluster manager
  --manager-port PORT   Port to advertise for the cluster manager (default: 10100)
  --heartbeat SECONDS   Interval of heartbeats, if shorter than that of the System Manager
  --create-ms MS        From NODE_SCHEDULED to CREATED (default: 300)
  --start-ms MS         From CREATED to RUNNING (default: 700)
  --per-second N        Clusters started per second, with --clusters (default: 200)
  --state FILE          Keep the state of a single cluster in FILE, to resume after a restart
  --help                Print this help
`

/** Seconds between two summary lines. */
const SUMMARY_S = 10

function readOptions () {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'ws://localhost:10000/register' },
      cluster: { type: 'string', default: 'sim' },
      location: { type: 'string' },
      clusters: { type: 'string' },
      workers: { type: 'string', default: '3' },
      cores: { type: 'string', default: '4' },
      memory: { type: 'string', default: '8192' },
      technology: { type: 'string', multiple: true, default: ['docker'] },
      advertise: { type: 'string' },
      'manager-port': { type: 'string', default: '10100' },
      heartbeat: { type: 'string', default: 'Infinity' },
      'create-ms': { type: 'string', default: '300' },
      'start-ms': { type: 'string', default: '700' },
      'per-second': { type: 'string', default: '200' },
      state: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const positive = (name: keyof typeof values & string): number => {
    const value = Number(values[name])
    if (!(value > 0)) throw new Error(`--${name} ${String(values[name])}: expected a number above 0`)
    return value
  }
  const many = values.clusters === undefined ? undefined : positive('clusters')
  if (many !== undefined && values.state !== undefined) {
    throw new Error('--state is for a single cluster, not for --clusters')
  }
  if (!/^wss?:/.test(values.url) || !URL.canParse(values.url)) {
    throw new Error(`--url ${values.url}: expected a ws:// or wss:// address`)
  }

  const worker = { cores: positive('cores'), memoryMb: positive('memory'), technology: values.technology }
  const names = many === undefined
    ? [values.cluster]
    : Array.from({ length: many }, (_, index) => `${values.cluster}-${index + 1}`)
  const clusters = names.map((name): ClusterOptions => ({
    url: values.url,
    name,
    location: values.location ?? null,
    workers: Array.from(
      { length: positive('workers') },
      (_, index) => ({ name: `${name}-worker-${index + 1}`, ...worker })
    ),
    managerPort: positive('manager-port'),
    heartbeatIntervalS: positive('heartbeat'),
    delays: { createMs: Number(values['create-ms']), startMs: Number(values['start-ms']) },
    ...(values.advertise !== undefined && { advertiseAddress: values.advertise }),
    ...(values.state !== undefined && { stateFile: values.state })
  }))
  return { clusters, help: values.help, perSecond: positive('per-second') }
}

function say (text: string) {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}

/** Prints each event of one cluster. */
function narrate (cluster: SimulatedCluster) {
  const { name, events } = cluster
  events.on('registered', ({ id, resumed }) => say(`${name}: registered as ${id}${resumed ? ', resumed' : ''}`))
  events.on(
    'command',
    ({ seq, kind, job_id: job }, refusal) =>
      say(`${name}: ${seq} ${kind} ${job}${refusal === null ? '' : ` refused: ${refusal}`}`)
  )
  events.on('resync', ({ jobs }) => say(`${name}: resync, ${jobs.length} jobs`))
  events.on('status', (job, status) => say(`${name}: ${job} ${status ?? 'removed'}`))
  events.on('lost', reason => say(`${name}: connection lost: ${reason}`))
  events.on('problem', text => say(`${name}: ${text}`))
}

/** Prints at intervals how many clusters are registered and how many jobs run. */
function summarise (clusters: SimulatedCluster[], signal: AbortSignal) {
  const timer = setInterval(() => {
    const jobs = clusters.flatMap(cluster => cluster.running())
    const registered = clusters.filter(cluster => cluster.registered).length
    say(
      `${registered} of ${clusters.length} clusters registered, ` +
        `${jobs.filter(job => job.status === 'RUNNING').length} of ${jobs.length} jobs RUNNING`
    )
  }, SUMMARY_S * 1000)
  signal.addEventListener('abort', () => clearInterval(timer))
}

async function run ({ clusters: all, perSecond }: ReturnType<typeof readOptions>, signal: AbortSignal) {
  const clusters: SimulatedCluster[] = []
  const seen = new Set<string>()
  if (all.length > 1) summarise(clusters, signal)
  try {
    for (const options of all) {
      const cluster = startSimulatedCluster(options)
      clusters.push(cluster)
      if (all.length === 1) {
        narrate(cluster)
      } else {
        cluster.events.on('problem', text => {
          // Each problem once, whichever cluster has it, and at most 100 of them.
          if (seen.size >= 100 || seen.has(text)) return
          seen.add(text)
          say(`${cluster.name}: ${text}`)
        })
        await sleep(1000 / perSecond, undefined, { signal })
      }
    }
    await sleep(2 ** 31 - 1, undefined, { signal })
  } catch (err) {
    if (!signal.aborted) throw err
  } finally {
    await Promise.all(clusters.map(cluster => cluster.stop()))
  }
}

const ended = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort())
try {
  const options = readOptions()
  if (options.help) process.stdout.write(HELP)
  else await run(options, ended.signal)
} catch (err) {
  process.stderr.write(`simulator: ${(err as Error).message}\nTry --help.\n`)
  process.exitCode = 1
}
