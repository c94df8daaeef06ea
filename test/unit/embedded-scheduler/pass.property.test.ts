import fc from 'fast-check'
import t from 'tap'
import type { Worker } from '../../../schemas/cluster.js'
import { MAX_VERDICTS, type Job } from '../../../schemas/job.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import { ROUNDING } from '../../../services/scheduler-client/embedded/feasibility.js'
import type { Candidate, PlacementDecision } from '../../../services/scheduler-client/scheduler.js'
import { candidate, idOf, job, PASS, silentFor } from './sample.js'

const cores = fc.constantFrom(0, 0.1, 0.3, 0.5, 1, 1.5, 2, 4)
const megabytes = fc.constantFrom(0, 50, 100, 250, 1000)
const place = fc.constantFrom('hpi', 'tum', 'dai')
const technology = fc.constantFrom<string[][]>(['docker'], ['unikernel'], ['docker', 'unikernel'])
const worker: fc.Arbitrary<Worker> = fc.record({
  name: fc.constantFrom('vm-1', 'vm-2', 'vm-3'), cpu_cores: cores, memory_in_mb: megabytes, technology
}, { requiredKeys: ['name', 'cpu_cores', 'memory_in_mb'] })

const aCandidate = (n: number): fc.Arbitrary<Candidate> => fc.record({
  cluster_location: fc.option(place),
  total_cpu_cores: fc.option(cores, { freq: 10 }),
  memory_in_mb: fc.option(megabytes, { freq: 10 }),
  technology: fc.option(technology),
  workers: fc.option(fc.array(worker, { maxLength: 3 }), { freq: 2 }),
  last_modified_timestamp: fc.constantFrom(silentFor(1), silentFor(1), silentFor(44), silentFor(45)),
  last_heartbeat_at: fc.option(fc.constant('2026-01-31T11:59:55.000Z'), { freq: 8 }),
  reserved: fc.record({ cpu: fc.constantFrom(0, 0, 0.5, 5), memory: fc.constantFrom(0, 0, 100) })
}).map(({ reserved, ...figures }) => candidate(n, `c${n}`, figures, reserved))

const candidates = fc.integer({ min: 0, max: 6 }).chain(n => fc.tuple(...Array.from({ length: n }, (_, i) => aCandidate(i))))
const aJob: fc.Arbitrary<Job> = fc.record({
  location: fc.oneof(place, fc.constantFrom('c0', 'c1')),
  node: fc.constantFrom('vm-1', 'vm-2'),
  runtime: fc.constantFrom('docker', 'docker', 'unikernel'),
  cpu: cores,
  memory: megabytes,
  instances: fc.array(fc.constantFrom('', '', '', idOf(0)), { maxLength: 5 })
}, { requiredKeys: [] }).map(asked => job(asked))
const jobs = fc.array(aJob, { minLength: 1, maxLength: 5 })

const assignmentsOf = (decision: PlacementDecision) => decision.kind === 'placed' ? decision.assignments : []
const request = ({ descriptor: { cluster_location: location, node, image_runtime: runtime, requirements } }: Job) =>
  ({ location, node, runtime, cpu: requirements?.cpu ?? 0, memory: requirements?.memory ?? 0 })

/** Whether a cluster could take one instance of a job: the rules once more, written without regard to speed. */
function mayTake ({ cluster, reserved }: Candidate, job: Job): boolean {
  const { location, node, runtime, cpu, memory } = request(job)
  const workers = cluster.workers ?? []
  const offers = cluster.technology ?? ['docker']
  const sum = (of: (worker: Worker) => number) => workers.length > 0 ? workers.reduce((total, worker) => total + of(worker), 0) : -Infinity
  return PASS.now - cluster.last_modified_timestamp * 1000 < PASS.graceMs && cluster.last_heartbeat_at !== null &&
    (!location || [cluster.cluster_location, cluster.cluster_name].includes(location)) && offers.includes(runtime) &&
    (cpu === 0 || (cluster.total_cpu_cores ?? sum(worker => worker.cpu_cores)) - reserved.cpu >= cpu - ROUNDING) &&
    (memory === 0 || (cluster.memory_in_mb ?? sum(worker => worker.memory_in_mb)) - reserved.memory >= memory - ROUNDING) &&
    (workers.length === 0 || workers.some(worker => (!node || worker.name === node) && (worker.technology ?? offers).includes(runtime) &&
      worker.cpu_cores >= cpu && worker.memory_in_mb >= memory))
}

/** Whether these can share the workers: tries every way. */
function packs (asked: Array<{ node: string | undefined, cpu: number, memory: number }>, workers: Worker[]): boolean {
  const [first, ...rest] = asked
  if (!first) return true
  return workers.some((worker, n) => {
    const left = { ...worker, cpu_cores: worker.cpu_cores - first.cpu, memory_in_mb: worker.memory_in_mb - first.memory }
    return (!first.node || worker.name === first.node) && (first.cpu === 0 || left.cpu_cores >= -ROUNDING) && (first.memory === 0 || left.memory_in_mb >= -ROUNDING) &&
      packs(rest, workers.with(n, left))
  })
}

t.test('an instance never goes to a cluster that fails a filter', async () => {
  fc.assert(fc.property(candidates, jobs, (candidates, jobs) => {
    const pass = createPass(candidates, PASS)
    return jobs.every(job => assignmentsOf(pass.decide(job)).every(({ cluster_id: id }) =>
      mayTake(candidates.find(({ cluster }) => cluster.id === id) as Candidate, job)))
  }), { numRuns: 1500 })
})

t.test('a pass never gives away more than a cluster, or its workers, have', async () => {
  fc.assert(fc.property(candidates, jobs, (candidates, jobs) => {
    const pass = createPass(candidates, PASS)
    const given = jobs.flatMap(job => assignmentsOf(pass.decide(job)).map(({ cluster_id: id }) => ({ id, ...request(job) })))
    return candidates.every(({ cluster, reserved }) => {
      const here = given.filter(({ id }) => id === cluster.id)
      const taken = (of: 'cpu' | 'memory') => here.reduce((sum, asked) => sum + asked[of], 0)
      const holds = (figure: number | null, reserved: number, taken: number) => figure === null || taken === 0 || taken <= figure - reserved + ROUNDING
      return holds(cluster.total_cpu_cores, reserved.cpu, taken('cpu')) && holds(cluster.memory_in_mb, reserved.memory, taken('memory')) &&
        (!cluster.workers?.length || here.length > 6 || packs(here, cluster.workers))
    })
  }), { numRuns: 1500 })
})

t.test('every unplaced instance is assigned once or explained, and every cluster is judged once', async () => {
  fc.assert(fc.property(candidates, jobs, (candidates, jobs) => {
    const pass = createPass(candidates, PASS)
    return jobs.every(job => {
      const decision = pass.decide(job)
      const unplaced = job.instance_list.filter(({ cluster_id: id }) => id === '').map(({ instance_number: number }) => number)
      const assigned = assignmentsOf(decision).map(({ instance_number: number }) => number)
      const { outcome, summary, clusters, omitted } = decision.explanation
      const explained = decision.kind !== 'placed' || assigned.length === unplaced.length || decision.failure !== undefined || summary.includes('waiting')
      const failsWithoutNeed = decision.kind === 'placed' && decision.failure !== undefined && assigned.length === unplaced.length
      return assigned.every((number, n) => number === unplaced[n]) && explained && !failsWithoutNeed && outcome === decision.kind && summary !== '' &&
        (decision.kind === 'placed') === (assigned.length > 0 || unplaced.length === 0) &&
        clusters.length <= MAX_VERDICTS && clusters.length + omitted === candidates.length &&
        new Set(clusters.map(({ cluster_id: id }) => id)).size === clusters.length &&
        clusters.every(({ fits, score, reason, cluster_name: name }) => fits === (score !== null) && reason.startsWith(`${name}: `))
    })
  }), { numRuns: 1500 })
})

t.test('a job finds a place in a fresh pass exactly when some cluster may take it', async () => {
  fc.assert(fc.property(candidates, aJob, (candidates, job) => {
    const decision = createPass(candidates, PASS).decide({ ...job, instance_list: job.instance_list.map(instance => ({ ...instance, cluster_id: '' })) })
    return job.instance_list.length === 0 || (decision.kind === 'placed') === candidates.some(candidate => mayTake(candidate, job))
  }), { numRuns: 1500 })
})

t.test('the order in which clusters are read changes no decision', async () => {
  const shuffled = candidates.chain(candidates => fc.tuple(fc.constant(candidates), fc.shuffledSubarray(candidates, { minLength: candidates.length })))
  fc.assert(fc.property(shuffled, jobs, ([candidates, others], jobs) => {
    const [one, other] = [createPass(candidates, PASS), createPass(others, PASS)]
    return jobs.every(job => JSON.stringify(one.decide(job)) === JSON.stringify(other.decide(job)))
  }), { numRuns: 500 })
})

t.test('what found no room finds none later in the pass', async () => {
  fc.assert(fc.property(candidates, jobs, aJob, (candidates, jobs, job) => {
    const pass = createPass(candidates, PASS)
    if (pass.decide(job).kind === 'placed') return true
    for (const other of jobs) pass.decide(other)
    return pass.decide(job).kind !== 'placed'
  }), { numRuns: 500 })
})

t.test('ten thousand clusters and a page of jobs are decided without a noticeable wait', async t => {
  const candidates = Array.from({ length: 10_000 }, (_, n) => candidate(n, `c${n}`, { total_cpu_cores: n % 64, memory_in_mb: 100 + n % 1000 }))
  const page = Array.from({ length: 256 }, (_, n) => job({ cpu: n % 8 === 0 ? 100 : 0.5 + n / 1000, ...n % 4 === 1 && { location: `c${n}` } }))
  const began = performance.now()
  const pass = createPass(candidates, PASS)
  const placed = page.filter(job => pass.decide(job).kind === 'placed').length
  const took = performance.now() - began
  t.ok(placed > 200, `${placed} of ${page.length} placed`)
  t.ok(took < 10_000, `${Math.round(took)} ms`)
})
