import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import autocannon, { type Result } from 'autocannon'
import { connectBenchCluster, type BenchCluster } from './cluster.js'
import { deployForm, deployRequest, quietOperations, writingOperations, type Operation } from './operations.js'
import { startBaseline, startServer, type Running } from './servers.js'

/**
 * Measures the most frequent operations of users and clusters, over 64 connections, against a bare Fastify route that
 * answers the same bytes. Both take turns within a minute, so that other load slows both: read the ratios.
 */

const CONNECTIONS = 64
const JOBS_PER_CLUSTER = 100
const CLUSTERS = 8

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

interface Figures {
  ratio: number
  ours: Result
  bare: Result
}

async function measure (target: Running, { path, request }: Operation, seconds: number): Promise<Result> {
  const result = await autocannon({ url: target.url + path, connections: CONNECTIONS, duration: seconds, ...request })
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${path}: ${result.non2xx} answers were not 2xx, ${result.errors} requests failed`)
  }
  return result
}

async function compare (server: Running, operation: Operation, seconds: number, rounds: number): Promise<Figures[]> {
  const baseline = await startBaseline([operation.bare])
  try {
    await measure(baseline, operation, 1)
    await measure(server, operation, 1)
    const figures: Figures[] = []
    for (let round = 0; round < rounds; round++) {
      const bare = await measure(baseline, operation, seconds)
      const ours = await measure(server, operation, seconds)
      figures.push({ ratio: ours.requests.average / bare.requests.average, ours, bare })
    }
    return figures.sort((a, b) => a.ratio - b.ratio)
  } finally {
    baseline.child.kill()
  }
}

function report ({ name }: Operation, figures: Figures[]): void {
  const { ratio, ours, bare } = figures[Math.floor(figures.length / 2)]!
  const [least, most] = [figures[0]!.ratio, figures.at(-1)!.ratio]
  console.log([
    name.padEnd(32),
    ours.requests.average.toFixed(0).padStart(9),
    bare.requests.average.toFixed(0).padStart(9),
    `${ratio.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`.padStart(18),
    `${ours.latency.p50} / ${ours.latency.p99} ms`.padStart(14)
  ].join('  '))
}

/** Registers a cluster, deploys 100 services to it, and reports them as RUNNING. */
async function populatedCluster ({ url }: Running, name: string): Promise<BenchCluster> {
  const cluster = await connectBenchCluster(url, name)
  await Promise.all(Array.from({ length: JOBS_PER_CLUSTER }, async (_, i) => {
    const answer = await fetch(`${url}/api/deploy`, { ...deployRequest, body: deployForm(`${name}-${i}`, name) })
    if (answer.status !== 200) throw new Error(await answer.text())
  }))
  while (cluster.jobIds.length < JOBS_PER_CLUSTER) await sleep(20)
  await fetch(`${url}/api/information/${cluster.id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jobs: cluster.jobIds.map(system_job_id => ({ system_job_id, status: 'RUNNING' })) })
  })
  return cluster
}

async function main (): Promise<void> {
  const seconds = options.quick ? 1 : Number(options.seconds)
  const rounds = options.quick ? 1 : Number(options.rounds)
  const dataDir = await mkdtemp(join(tmpdir(), 'system-manager-bench-'))
  const server = await startServer(dataDir)
  const clusters: BenchCluster[] = []
  try {
    console.log(
      `${CONNECTIONS} connections, ${rounds} rounds of ${seconds} s each; median ratio (least-most); latency p50 / ` +
        'p99 of ours\n'
    )
    console.log(
      `${'operation'.padEnd(32)}  ${'ours/s'.padStart(9)}  ${'bare/s'.padStart(9)}  ${'ratio'.padStart(18)}  ` +
        `${'latency'.padStart(14)}`
    )
    const first = await populatedCluster(server, 'c0')
    clusters.push(first)
    for (const operation of await quietOperations(server.url, first)) {
      report(operation, await compare(server, operation, seconds, rounds))
    }
    for (let i = 1; i < CLUSTERS; i++) clusters.push(await populatedCluster(server, `c${i}`))
    for (const operation of writingOperations(clusters)) {
      report(operation, await compare(server, operation, seconds, rounds))
    }
  } finally {
    for (const cluster of clusters) cluster.close()
    server.child.kill()
    await rm(dataDir, { recursive: true, force: true })
  }
}

if (options.help) console.log('npm run bench -- [--seconds 3] [--rounds 5] [--quick]')
else await main()
