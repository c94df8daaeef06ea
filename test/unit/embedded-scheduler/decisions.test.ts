import t from 'tap'
import { MAX_VERDICTS } from '../../../schemas/job.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import type { Candidate, PlacementDecision } from '../../../services/scheduler-client/scheduler.js'
import { candidate, idOf, job, PASS, silentFor, refusal } from './sample.js'

const decide = (candidates: Candidate[], asked: Parameters<typeof job>[0] = {}) => createPass(candidates, PASS).decide(job(asked))

/** The clusters in the order of the instances. */
function placesOf (decision: PlacementDecision): string[] {
  return decision.kind === 'placed' ? decision.assignments.map(({ cluster_id: id }) => id) : []
}

const failureOf = (decision: PlacementDecision) => decision.kind === 'waiting' ? 'waiting' : decision.failure
const full = (n: number, name: string) => candidate(n, name, { total_cpu_cores: 0.2 })
const silent = (n: number, name: string) => candidate(n, name, { last_modified_timestamp: silentFor(60) })
const fresh = (n: number, name: string) => candidate(n, name, { last_heartbeat_at: null, total_cpu_cores: null, memory_in_mb: null })

t.test('the cluster with most headroom is chosen', async t => {
  const decision = decide([candidate(1, 'hpi'), candidate(2, 'tum', { total_cpu_cores: 8 }), candidate(3, 'dai', { memory_in_mb: 4000 })])
  t.same(placesOf(decision), [idOf(2)])
  t.equal(decision.explanation.summary, 'placed on tum')
  t.same(decision.explanation.clusters.map(({ reason }) => reason), [
    'tum: chosen, 8 cores and 8000 MB free',
    'hpi: fits, 4 cores and 8000 MB free',
    'dai: fits, 4 cores and 4000 MB free'
  ])
  t.same(decision.explanation.clusters.map(({ score }) => score), [0.931, 0.681, 0.431], 'as the formula has it')
})

t.test('equal clusters are taken in order of id, however they come', async t => {
  t.same(placesOf(decide([candidate(2, 'tum'), candidate(1, 'hpi')])), [idOf(1)])
  t.same(placesOf(decide([candidate(1, 'hpi'), candidate(2, 'tum')])), [idOf(1)])
})

t.test('instances of one job are spread over clusters', async t => {
  const decision = decide([candidate(1, 'hpi'), candidate(2, 'tum'), candidate(3, 'dai')], { instances: ['', '', ''] })
  t.same(placesOf(decision), [idOf(1), idOf(2), idOf(3)])
  t.equal(decision.explanation.summary, 'placed 3 instances: 1 on hpi, 1 on tum, 1 on dai')
})

t.test('an instance that a cluster has already counts for the spread', async t => {
  const decision = decide([candidate(1, 'hpi'), candidate(2, 'tum')], { instances: [idOf(1), ''] })
  t.same(decision.kind === 'placed' && decision.assignments, [
    { instance_number: 1, cluster_id: idOf(2), original: false, offered: { cpu: 4, memory: 8000, nodes: 1 } }
  ])
  t.equal(decision.explanation.clusters[1]?.reason, 'hpi: fits, 4 cores and 8000 MB free, has 1 instance of this job already')
})

t.test('a cluster that is by far the largest takes more than one instance', async t => {
  const decision = decide([candidate(1, 'hpi', { total_cpu_cores: 1, memory_in_mb: 200 }), candidate(2, 'tum', { total_cpu_cores: 64, memory_in_mb: 64_000 })], { instances: ['', ''] })
  t.same(placesOf(decision), [idOf(2), idOf(2)])
  t.equal(decision.explanation.summary, 'placed 2 instances on tum')
  t.equal(decision.explanation.clusters[0]?.reason, 'tum: chosen for 2 instances, 64 cores and 64000 MB free')
})

t.test('only instances without a cluster are placed, in order of their numbers', async t => {
  const asked = job({ instances: ['', idOf(1), ''] })
  asked.instance_list.reverse()
  const decision = createPass([candidate(1, 'hpi')], PASS).decide(asked)
  t.same(decision.kind === 'placed' && decision.assignments.map(({ instance_number: number }) => number), [0, 2])
})

t.test('a job whose instances all have a cluster is left as it is', async t => {
  const decision = decide([full(1, 'hpi')], { instances: [idOf(1)] })
  t.match(decision, { kind: 'placed', assignments: [], explanation: { summary: 'every instance has a cluster already' } })
  t.equal(failureOf(decision), undefined)
})

t.test('each decision leaves less for the next job', async t => {
  const pass = createPass([candidate(1, 'hpi', { total_cpu_cores: 0.3 })], PASS)
  t.same([0.1, 0.1, 0.1].map(cpu => pass.decide(job({ cpu })).kind), ['placed', 'placed', 'placed'], '0.3 cores hold three times 0.1')
  const decision = pass.decide(job({ cpu: 0.1 }))
  t.equal(failureOf(decision), 'NoActiveClusterWithCapacity')
  t.equal(decision.explanation.summary, 'hpi: 0 cores free of 0.1 asked')
})

t.test('a pass changes neither the clusters nor the jobs it is given', async t => {
  const candidates = [candidate(1, 'hpi', { workers: [{ name: 'a', cpu_cores: 4, memory_in_mb: 8000 }] })]
  const asked = job({ instances: ['', ''] })
  const before = structuredClone({ candidates, asked })
  createPass(candidates, PASS).decide(asked)
  t.same({ candidates, asked }, before)
})

t.test('some instances without room are a failure, and the clusters that took some come first', async t => {
  const decision = decide([full(1, 'dai'), candidate(2, 'hpi', { total_cpu_cores: 2.2 })], { instances: ['', '', ''] })
  t.same(placesOf(decision), [idOf(2), idOf(2)])
  t.equal(failureOf(decision), 'NoActiveClusterWithCapacity')
  t.equal(decision.explanation.outcome, 'placed')
  t.equal(decision.explanation.summary, 'placed 2 of 3 instances; none of the 2 clusters can take it; nearest is dai: 0.2 cores free of 1 asked')
  t.same(decision.explanation.clusters.map(({ reason }) => reason), ['hpi: took 2 instances, now 0.2 cores free of 1 asked', 'dai: 0.2 cores free of 1 asked'])
})

t.test('instances that a cluster without figures may take wait for it, without a failure', async t => {
  const decision = decide([candidate(1, 'hpi', { total_cpu_cores: 1 }), fresh(2, 'tum')], { instances: ['', ''] })
  t.same(placesOf(decision), [idOf(1)])
  t.equal(failureOf(decision), undefined)
  t.equal(decision.explanation.summary, 'placed 1 of 2 instances; waiting for the figures of tum: no heartbeat yet')
})

t.test('a location that no cluster has: TargetClusterNotFound', async t => {
  const decision = decide([candidate(1, 'tum')], { location: 'hpi' })
  t.equal(failureOf(decision), 'TargetClusterNotFound')
  t.equal(decision.explanation.summary, 'no cluster named hpi is registered')
  t.equal(failureOf(decide([], { location: 'hpi' })), 'TargetClusterNotFound')
})

t.test('a location whose clusters are all silent: TargetClusterNotActive', async t => {
  const decision = decide([silent(1, 'hpi'), candidate(2, 'tum')], { location: 'hpi' })
  t.equal(failureOf(decision), 'TargetClusterNotActive')
  t.equal(decision.explanation.summary, 'hpi: silent since 2026-01-31T11:59:00Z')
  const two = decide([silent(1, 'hpi'), candidate(2, 'hpi-2', { cluster_location: 'hpi', last_modified_timestamp: silentFor(3600) })], { location: 'hpi' })
  t.equal(
    two.explanation.summary,
    'none of the 2 clusters at hpi is alive; one is hpi: silent since 2026-01-31T11:59:00Z'
  )
})

t.test('a location with a live cluster that cannot take it: TargetClusterNoCapacity', async t => {
  const decision = decide([full(1, 'hpi'), candidate(2, 'tum')], { location: 'hpi' })
  t.equal(failureOf(decision), 'TargetClusterNoCapacity')
  t.equal(decision.explanation.summary, 'hpi: 0.2 cores free of 1 asked')
})

t.test('no location and no room, or no cluster at all: NoActiveClusterWithCapacity', async t => {
  t.equal(failureOf(decide([full(1, 'hpi'), silent(2, 'tum')])), 'NoActiveClusterWithCapacity')
  t.equal(failureOf(decide([silent(2, 'tum')])), 'NoActiveClusterWithCapacity')
  const nobody = decide([])
  t.equal(failureOf(nobody), 'NoActiveClusterWithCapacity')
  t.match(nobody.explanation, { summary: 'no cluster is registered', clusters: [], omitted: 0 })
})

t.test('a cluster at the requested location that has reported nothing yet is waited for; one elsewhere or silent is not', async t => {
  t.equal(failureOf(decide([fresh(1, 'hpi'), full(2, 'hpi-2')], { location: 'hpi' })), 'waiting')
  t.equal(failureOf(decide([full(1, 'hpi'), fresh(2, 'tum')], { location: 'hpi' })), 'TargetClusterNoCapacity')
  const gone = fresh(1, 'hpi')
  gone.silentMs = 60_000
  t.equal(failureOf(decide([gone], { location: 'hpi' })), 'TargetClusterNotActive')
})

t.test('a cluster that can take it now goes before one that has reported nothing yet', async t => {
  t.same(placesOf(decide([fresh(1, 'hpi'), candidate(2, 'tum')])), [idOf(2)])
})

t.test('waiting for several clusters is one sentence', async t => {
  t.equal(decide([fresh(1, 'hpi')]).explanation.summary, 'waiting for the figures of hpi: no heartbeat yet')
  t.equal(decide([fresh(1, 'hpi'), fresh(2, 'tum'), fresh(3, 'dai')]).explanation.summary, 'waiting for the figures of hpi and 2 more clusters')
})

t.test('the nearest to fitting come first, and those at the requested location before all others', async t => {
  const at = { cluster_location: 'hpi' }
  const candidates = [
    silent(1, 'dai'), candidate(2, 'tum'), candidate(3, 'hpi-silent', { ...at, last_modified_timestamp: silentFor(60) }),
    candidate(4, 'hpi-wasm', { ...at, technology: ['wasm'] }), candidate(5, 'hpi-cpu', { ...at, total_cpu_cores: 0.2 }),
    candidate(6, 'hpi-more-cpu', { ...at, total_cpu_cores: 0.5 }), candidate(7, 'hpi-memory', { ...at, memory_in_mb: 50 })
  ]
  t.same(decide(candidates, { location: 'hpi' }).explanation.clusters.map(({ cluster_name: name }) => name),
    ['hpi-memory', 'hpi-more-cpu', 'hpi-cpu', 'hpi-wasm', 'hpi-silent', 'tum', 'dai'])
})

t.test('of many clusters the best are listed and the rest is counted', async t => {
  const many = Array.from({ length: 250 }, (_, n) => candidate(n, `c${n}`, { total_cpu_cores: n }))
  const placed = decide(many).explanation
  t.equal(placed.clusters.length, MAX_VERDICTS)
  t.equal(placed.omitted, 150)
  t.same(placed.clusters.slice(0, 3).map(({ cluster_name: name }) => name), ['c249', 'c248', 'c247'])
  const unplaceable = decide(many, { cpu: 1000 }).explanation
  t.equal(unplaceable.clusters.length, MAX_VERDICTS)
  t.equal(unplaceable.omitted, 150)
  t.equal(unplaceable.clusters[0]?.reason, 'c249: 249 cores free of 1000 asked')
  const elsewhere = decide(many, { location: 'c7', cpu: 8 }).explanation
  t.equal(elsewhere.clusters[0]?.reason, 'c7: 7 cores free of 8 asked')
  t.equal(elsewhere.clusters.length + elsewhere.omitted, 250)
})

t.test('the summary of a job on many clusters stays short', async t => {
  const decision = decide(Array.from({ length: 8 }, (_, n) => candidate(n, `c${n}`)), { instances: Array(8).fill('') })
  t.equal(decision.explanation.summary, 'placed 8 instances: 1 on c0, 1 on c1, 1 on c2, 1 on c3, 1 on c4, the others on 3 more clusters')
})

t.test('a cluster that refused one instance gets none of the job for a minute', async t => {
  const refusedAt = (ms: number) => {
    const asked = job({ instances: ['', ''] })
    asked.instance_list[1]?.refusals.push({ cluster_id: idOf(1), at: new Date(PASS.now - 3_000_000).toISOString(), error: 'old' },
      { cluster_id: idOf(1), at: new Date(PASS.now - ms).toISOString(), error: 'NO_WORKER_CAPACITY' })
    return asked
  }
  const clusters = [candidate(1, 'hpi', { total_cpu_cores: 64 }), candidate(2, 'tum')]
  t.same(placesOf(createPass(clusters, PASS).decide(refusedAt(12_000))), [idOf(2), idOf(2)])
  t.ok(placesOf(createPass(clusters, PASS).decide(refusedAt(60_000))).includes(idOf(1)))
  const pass = createPass(clusters.slice(0, 1), PASS)
  const alone = pass.decide(refusedAt(12_000))
  t.equal(failureOf(alone), 'NoActiveClusterWithCapacity')
  t.equal(
    alone.explanation.summary,
    `hpi: ${refusal('11:59:48', 'NO_WORKER_CAPACITY', '12:00:48')}`
  )
  t.equal(pass.decide(job()).kind, 'placed', 'another job with the same requirements was not refused')
})

t.test('a job with the same request as one that found no room gets the same explanation, as an object of its own', async t => {
  const pass = createPass([full(1, 'hpi')], PASS)
  const first = pass.decide(job())
  t.equal(pass.decide(job({ cpu: 0.1, memory: 1 })).kind, 'placed', 'there is less room now')
  const second = pass.decide({ ...job(), id: idOf(9), job_name: 'other.default.service1.test' })
  t.same(second, first)
  t.not(second.explanation.clusters, first.explanation.clusters)
  t.equal(pass.decide(job({ cpu: 0.1 })).kind, 'placed', 'another request is judged anew')
  t.equal(pass.decide(job()).kind, 'unplaceable')
})
