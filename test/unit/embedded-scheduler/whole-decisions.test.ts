import t from 'tap'
import type { Cluster } from '../../../schemas/cluster.js'
import { MAX_VERDICTS, type Job } from '../../../schemas/job.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import type { Candidate, PlacementDecision } from '../../../services/scheduler-client/scheduler.js'
import { candidate, idOf, job, PASS, silentFor, refusal } from './sample.js'

/** All that a decision says, in a form that a test can state: `0@1` is instance 0 on cluster 1. */
function whole (decision: PlacementDecision) {
  const { kind, explanation: { outcome, summary, clusters, omitted, decided_at: at } } = decision
  return {
    kind,
    failure: kind === 'waiting' ? undefined : decision.failure,
    assignments: kind === 'placed' ? decision.assignments.map(({ instance_number: n, cluster_id: id }) => `${n}@${parseInt(id, 16)}`) : [],
    summary,
    verdicts: clusters.map(({ cluster_id: id, fits, score, reason }) => `${parseInt(id, 16)} ${fits ? score : 'no'} ${reason}`),
    omitted,
    isSound: outcome === kind && (kind !== 'placed' || ('failure' in decision) === (decision.failure !== undefined)) && at === new Date(PASS.now).toISOString() && clusters.every(({ fits, score }) => fits === Number.isFinite(score))
  }
}

const decide = (candidates: Candidate[], asked: Job) => whole(createPass(candidates, PASS).decide(asked))
const placed = { kind: 'placed', failure: undefined, omitted: 0, isSound: true } as const
const none = { kind: 'unplaceable', assignments: [], omitted: 0, isSound: true } as const
const worker = (name: string, cpu: number, memory = 8000, technology?: string[]) => ({ name, cpu_cores: cpu, memory_in_mb: memory, ...technology && { technology } })
const ago = (seconds: number) => new Date(PASS.now - seconds * 1000).toISOString()
const refusedBy = (id: string, seconds: number, error = 'NO_WORKER_CAPACITY') => ({ cluster_id: id, at: ago(seconds), error })

t.test('of clusters at the location, the nearest to fitting comes first, whichever filter stopped it; then those elsewhere', async t => {
  const at = { cluster_location: 'hpi' }
  const asked = job({ location: 'hpi', node: 'vm-1', cpu: 1, memory: 100 })
  asked.instance_list[0]!.refusals = [refusedBy(idOf(13), 12)]
  asked.retiring = [
    {
      command_id: 'c',
      cluster_id: idOf(4),
      instances: [],
      error: null,
      since: new Date(0).toISOString(),
      released: false,
      original: false,
      told: null
    }
  ]
  const stopped = [
    candidate(15, 'away-silent', { last_modified_timestamp: silentFor(60) }),
    candidate(1, 'away', { cluster_location: null }),
    candidate(2, 'silent', { ...at, last_modified_timestamp: silentFor(60) }),
    candidate(3, 'closed', { ...at, scheduling: 'cordoned' }),
    candidate(4, 'excluded', at),
    candidate(5, 'technology', { ...at, technology: ['wasm'] }),
    candidate(6, 'node', { ...at, workers: [worker('vm-2', 4)] }),
    candidate(7, 'worker-technology', { ...at, workers: [worker('vm-1', 4, 8000, ['wasm']), worker('vm-2', 4)] }),
    candidate(8, 'no-cpu', { ...at, total_cpu_cores: 0 }),
    candidate(9, 'some-cpu', { ...at, total_cpu_cores: 0.9 }),
    candidate(10, 'cpu-of-worker', { ...at, workers: [worker('vm-1', 0.95), worker('vm-2', 4)] }),
    candidate(11, 'no-memory', { ...at, memory_in_mb: 0 }),
    candidate(12, 'some-memory', { ...at, memory_in_mb: 99 }),
    candidate(13, 'refused', at),
    candidate(14, 'unheard', { ...at, last_heartbeat_at: null })
  ]
  const verdicts = [
    `13 no refused: ${refusal('11:59:48', 'NO_WORKER_CAPACITY', '12:00:48')}`,
    '12 no some-memory: 99 MB free of 100 asked',
    '11 no no-memory: 0 MB free of 100 asked',
    '10 no cpu-of-worker: worker node vm-1 has 0.95 cores free of 1 asked',
    '9 no some-cpu: 0.9 cores free of 1 asked',
    '8 no no-cpu: 0 cores free of 1 asked',
    '7 no worker-technology: worker node vm-1 offers wasm, docker asked',
    '6 no node: has no worker node vm-1',
    '5 no technology: offers wasm, docker asked',
    '4 no excluded: still has to remove an earlier instance of it',
    '3 no closed: is cordoned',
    '2 no silent: silent since 2026-01-31T11:59:00Z',
    '1 no away: has no location, hpi asked',
    '15 no away-silent: silent since 2026-01-31T11:59:00Z'
  ]
  const heard = stopped.filter(({ cluster }) => cluster.last_heartbeat_at !== null)
  t.strictSame(decide(heard, asked), {
    ...none,
    failure: 'TargetClusterNoCapacity',
    summary:
      'none of the 12 clusters at hpi can take it; nearest is refused: ' +
      refusal('11:59:48', 'NO_WORKER_CAPACITY', '12:00:48'),
    verdicts
  })
  t.strictSame(decide(stopped, asked), {
    ...none,
    kind: 'waiting',
    failure: undefined,
    summary: 'waiting for the figures of unheard: no heartbeat yet',
    verdicts: ['14 no unheard: no heartbeat yet', ...verdicts]
  })
  const fits = candidate(16, 'fits', { ...at, workers: [worker('vm-1', 4)] })
  t.strictSame(decide([...stopped, fits], asked), {
    ...placed,
    assignments: ['0@16'],
    summary: 'placed on fits',
    verdicts: ['16 0.869 fits: chosen, 4 cores and 8000 MB free', '14 no unheard: no heartbeat yet', ...verdicts]
  })
})

t.test('of the clusters that are silent, those of the location count: one alive makes it a lack of capacity', async t => {
  const at = { cluster_location: 'hpi' }
  const [dead, full] = [candidate(1, 'dead', { ...at, last_modified_timestamp: silentFor(60) }), candidate(2, 'full', { ...at, total_cpu_cores: 0 })]
  t.strictSame(decide([dead, full], job({ location: 'hpi' })), {
    ...none,
    failure: 'TargetClusterNoCapacity',
    summary: 'none of the 2 clusters at hpi can take it; nearest is full: 0 cores free of 1 asked',
    verdicts: ['2 no full: 0 cores free of 1 asked', '1 no dead: silent since 2026-01-31T11:59:00Z']
  })
})

t.test('the verdict on a cluster that refused the job and now has too little is that it has too little', async t => {
  const asked = job()
  asked.instance_list[0]!.refusals = [refusedBy(idOf(1), 12)]
  t.equal(decide([candidate(1, 'hpi', { total_cpu_cores: 0.2 })], asked).summary, 'hpi: 0.2 cores free of 1 asked')
})

t.test('a dead end at one location is no dead end at another, nor for any other request, in the same pass', async t => {
  const wasm = { cluster_location: 'hpi', technology: ['wasm'], workers: [worker('vm-2', 4)] }
  const pass = createPass([candidate(1, 'hpi', { total_cpu_cores: 0 }), candidate(2, 'tum', { total_cpu_cores: 16 }), candidate(3, 'hpi-wasm', wasm)], PASS)
  const places = (asked: Job) => whole(pass.decide(asked)).assignments
  t.strictSame(whole(pass.decide(job({ location: 'hpi' }))), {
    ...none,
    failure: 'TargetClusterNoCapacity',
    summary: 'none of the 2 clusters at hpi can take it; nearest is hpi: 0 cores free of 1 asked',
    verdicts: ['1 no hpi: 0 cores free of 1 asked', '3 no hpi-wasm: offers wasm, docker asked', '2 no tum: location is tum, hpi asked']
  })
  t.strictSame(whole(pass.decide(job({ location: 'tum' }))), {
    ...placed,
    assignments: ['0@2'],
    summary: 'placed on tum',
    verdicts: ['2 0.963 tum: chosen, 16 cores and 8000 MB free', '1 no hpi: location is hpi, tum asked', '3 no hpi-wasm: location is hpi, tum asked']
  })
  t.strictSame(places(job()), ['0@2'], 'anywhere')
  t.strictSame(places(job({ location: 'hpi', runtime: 'wasm' })), ['0@3'], 'another technology')
  t.strictSame(places(job({ location: 'hpi', cpu: 0 })), ['0@1'], 'fewer cores')
  t.strictSame(places(job({ location: 'hpi', runtime: 'wasm', node: 'vm-1' })), [], 'another node')
  t.strictSame(places(job({ location: 'hpi', runtime: 'wasm' })), ['0@3'], 'and not that node again')
  t.strictSame(places(job({ location: 'hpi', runtime: 'wasm', memory: 9000 })), [], 'more memory')
  t.strictSame(places(job({ location: 'hpi', runtime: 'wasm', memory: 1000 })), ['0@3'], 'less memory')
  const refused = job({ location: 'tum' })
  refused.instance_list[0]!.refusals = [refusedBy(idOf(2), 5)]
  t.strictSame(places(refused), [], 'refused')
  t.strictSame(places(job({ location: 'tum' })), ['0@2'], 'not refused')
  t.strictSame(
    places({
      ...job({ location: 'tum' }),
      retiring: [
        {
          command_id: 'c',
          cluster_id: idOf(2),
          instances: [],
          error: null,
          since: new Date(0).toISOString(),
          released: false,
          original: false,
          told: null
        }
      ]
    }),
    [],
    'excluded'
  )
  t.strictSame(places(job({ location: 'tum' })), ['0@2'], 'not excluded')
})

t.test('figures of a database that another program filled: none is ever a score that is no number', async t => {
  const figures = (n: number, name: string, cpu: unknown, memory: unknown, more: Partial<Cluster> = {}) =>
    candidate(n, name, { total_cpu_cores: cpu as number, memory_in_mb: memory as number, ...more })
  const clusters = [
    figures(1, 'zero', 0, 0), figures(2, 'huge', 1e308, 1e308), figures(3, 'text', '2', '4000'), figures(4, 'words', 'lots', 'plenty'),
    figures(5, 'missing', undefined, undefined), figures(6, 'empty', '', ''), figures(7, 'nan', NaN, NaN), figures(8, 'infinite', Infinity, Infinity),
    figures(9, 'plain', 4, 8000), figures(10, 'object', {}, []), figures(11, 'negative', -1e308, -5)
  ]
  t.strictSame(decide(clusters, job({ cpu: 1, memory: 100 })), {
    ...placed,
    assignments: ['0@2'],
    summary: 'placed on huge',
    verdicts: [
      '2 1 huge: chosen, 1000000000 cores and 1000000000 MB free', '9 0 plain: fits, 4 cores and 8000 MB free', '3 0 text: fits, 2 cores and 4000 MB free',
      ...['4 no words', '5 no missing', '6 no empty', '7 no nan', '8 no infinite', '10 no object'].map(each => `${each}: has not reported its free cores, 1 asked`),
      '1 no zero: 0 cores free of 1 asked', '11 no negative: 0 cores free of 1 asked'
    ]
  })
  const nothing = decide(clusters, job({ cpu: 0, memory: 0 }))
  t.match(nothing, { kind: 'placed', assignments: ['0@2'], omitted: 0, isSound: true })
  t.equal(nothing.verdicts.length, 11)
  t.ok(nothing.verdicts.every(verdict => /: (chosen|fits), /.test(verdict)), 'who asks nothing fits everywhere')
  t.strictSame(decide([clusters[0]!], job({ cpu: 0, memory: 0 })).verdicts, ['1 0 zero: chosen, 0 cores and 0 MB free'], 'best of nothing')
  t.strictSame(decide([figures(1, 'hpi', 4, 8000)].map(each => ({ ...each, reserved: { cpu: NaN, memory: 0 } })), job()).summary, 'waiting for the figures of hpi: has not reported its free cores, 1 asked')
})

t.test('a worker whose figures are no numbers has nothing free; the sums go on without it', async t => {
  const workers = [{ name: 'broken', cpu_cores: 'lots', memory_in_mb: null }, { name: 'text', cpu_cores: '2', memory_in_mb: '500' }, worker('plain', 1, 300)] as NonNullable<Cluster['workers']>
  const cluster = candidate(1, 'hpi', { workers, total_cpu_cores: null, memory_in_mb: null })
  t.strictSame(decide([cluster], job({ cpu: 2, memory: 500 })).verdicts, ['1 0.354 hpi: chosen, 3 cores and 800 MB free'])
  t.equal(decide([cluster], job({ node: 'broken', cpu: 1, memory: 0 })).summary, 'hpi: worker node broken has 0 cores free of 1 asked')
  t.equal(decide([cluster], job({ node: 'broken', cpu: 0, memory: 1 })).summary, 'hpi: worker node broken has 0 MB free of 1 asked')
  t.strictSame(decide([cluster], job({ node: 'broken', cpu: 0, memory: 0 })).assignments, ['0@1'])
})

t.test('shortfalls below a millionth are rounding errors, and asking that little of an unknown figure is asking', async t => {
  t.strictSame(decide([candidate(1, 'hpi', { total_cpu_cores: 0 })], job({ cpu: 1e-6, memory: 0 })).assignments, ['0@1'])
  t.equal(decide([candidate(1, 'hpi', { total_cpu_cores: 0 })], job({ cpu: 3e-6, memory: 0 })).kind, 'unplaceable')
  t.equal(decide([candidate(1, 'hpi', { total_cpu_cores: null })], job({ cpu: 1e-7, memory: 0 })).kind, 'waiting')
})

t.test('what is not known stays unknown, whatever was placed there', async t => {
  const pass = createPass([candidate(1, 'hpi', { total_cpu_cores: null }), candidate(2, 'tum', { memory_in_mb: null, technology: ['wasm'] })], PASS)
  t.equal(pass.decide(job({ cpu: 0 })).kind, 'placed')
  t.equal(whole(pass.decide(job({ cpu: 1 }))).summary, 'waiting for the figures of hpi: has not reported its free cores, 1 asked')
  t.equal(pass.decide(job({ memory: 0, runtime: 'wasm' })).kind, 'placed')
  t.equal(whole(pass.decide(job({ memory: 1, runtime: 'wasm' }))).summary, 'waiting for the figures of tum: has not reported its free memory, 1 MB asked')
})

t.test('of the workers that fit, the one with most cores left bears it, then the one with most memory, then the first listed', async t => {
  /** Which worker bore a job of 1 core and 100 MB: the one that cannot bear all of its own any more. */
  const bearerOf = (workers: NonNullable<Cluster['workers']>, asked: Parameters<typeof job>[0] = {}) => {
    const cluster = candidate(1, 'hpi', { workers, total_cpu_cores: 100, memory_in_mb: 100_000, technology: ['docker', 'wasm'] })
    const bearers = workers.filter(({ name, cpu_cores: cpu, memory_in_mb: memory, technology }) => {
      const pass = createPass([cluster], PASS)
      pass.decide(job({ cpu: 1, memory: 100, ...asked }))
      return pass.decide(job({ node: name, cpu, memory, runtime: technology?.[0] ?? 'docker' })).kind !== 'placed'
    })
    return bearers.map(({ name }) => name)
  }
  t.strictSame(bearerOf([worker('a', 2, 900), worker('b', 3, 800), worker('c', 2, 900)]), ['b'], 'most cores')
  t.strictSame(bearerOf([worker('a', 3, 700), worker('b', 3, 800), worker('c', 2, 900)]), ['b'], 'most memory of these')
  t.strictSame(bearerOf([worker('a', 3, 800), worker('b', 3, 800)]), ['a'], 'the first of equals')
  t.strictSame(bearerOf([worker('a', 2, 800), worker('b', 9, 90), worker('c', 1, 9000)]), ['a'], 'only those that fit: memory')
  t.strictSame(bearerOf([worker('a', 2, 800), worker('b', 9, 900)], { node: 'a' }), ['a'], 'only the node that is asked for')
  t.strictSame(bearerOf([worker('a', 2, 800), worker('b', 9, 900, ['wasm'])]), ['a'], 'only those with the technology')
  t.strictSame(bearerOf([worker('a', 0.5, 8000), worker('b', 0.2, 9000)], { cpu: 0.3 }), ['a'], 'only those that fit: cores')
})

t.test('where several workers fall short, the nearest of them counts, wherever it is listed', async t => {
  const at = { cluster_location: 'hpi', total_cpu_cores: 100, memory_in_mb: 100_000 }
  const one = candidate(2, 'near-first', { ...at, workers: [worker('a', 1.8), worker('b', 0.1)] })
  const other = candidate(1, 'nearer-last', { ...at, workers: [worker('a', 0.1), worker('b', 1.9)] })
  const third = candidate(3, 'far', { ...at, workers: [worker('a', 1.7), worker('b', 0.1)] })
  t.strictSame(decide([third, one, other], job({ location: 'hpi', cpu: 2 })).verdicts.map(verdict => verdict.split(':')[0]), ['1 no nearer-last', '2 no near-first', '3 no far'])
})

t.test('of more clusters than are listed, those that took instances come first, and the rest is counted', async t => {
  const many = (length: number, more: Partial<Cluster> = {}, from = 0) => Array.from({ length }, (_, n) => candidate(from + n, `c${from + n}`, { total_cpu_cores: 1, ...more }))
  const instances = (length: number) => job({ instances: Array(length).fill('') })
  const all = decide(many(102), instances(101))
  t.equal(all.assignments.length, 101)
  t.equal(all.verdicts.length, MAX_VERDICTS)
  t.equal(all.omitted, 2)
  t.ok(all.verdicts.every(verdict => /: chosen, 1 core and 8000 MB free$/.test(verdict)))
  t.match(all.summary, /^placed 101 instances: .* the others on 96 more clusters$/)

  const partly = decide(many(101), instances(102))
  t.equal(partly.failure, 'NoActiveClusterWithCapacity')
  t.equal(partly.verdicts.length, MAX_VERDICTS)
  t.equal(partly.omitted, 1)
  t.ok(partly.verdicts.every(verdict => /: took 1 instance, now 0 cores free of 1 asked$/.test(verdict)))

  const mixed = decide([...many(60), ...many(60, { total_cpu_cores: 0.5 }, 60)], job())
  t.equal(mixed.verdicts.length, MAX_VERDICTS)
  t.equal(mixed.omitted, 20)
  t.equal(mixed.verdicts.filter(verdict => verdict.includes(': fits, ')).length, 59)
  t.equal(mixed.verdicts.filter(verdict => verdict.includes('0.5 cores free of 1 asked')).length, 40)

  const elsewhere = decide(many(150), job({ location: 'c3', cpu: 2 }))
  t.equal(elsewhere.verdicts.length, MAX_VERDICTS)
  t.equal(elsewhere.omitted, 50)
  t.strictSame(elsewhere.verdicts.slice(0, 3), ['3 no c3: 1 core free of 2 asked', '0 no c0: location is c0, c3 asked', '1 no c1: location is c1, c3 asked'])
  const exactly = decide(many(100), job({ location: 'c3', cpu: 2 }))
  t.equal(exactly.verdicts.length, 100)
  t.equal(exactly.omitted, 0)
})

t.test('a summary names five clusters and counts the others', async t => {
  const on = (clusters: number) => decide(Array.from({ length: clusters }, (_, n) => candidate(n, `c${n}`)), job({ instances: Array(clusters).fill('') })).summary
  t.equal(on(5), 'placed 5 instances: 1 on c0, 1 on c1, 1 on c2, 1 on c3, 1 on c4')
  t.equal(on(6), 'placed 6 instances: 1 on c0, 1 on c1, 1 on c2, 1 on c3, 1 on c4, the others on 1 more cluster')
  t.equal(on(2), 'placed 2 instances: 1 on c0, 1 on c1')
})

t.test('figures of two clusters are waited for in one sentence', async t => {
  const fresh = (n: number, name: string) => candidate(n, name, { last_heartbeat_at: null })
  t.equal(decide([fresh(1, 'hpi'), fresh(2, 'tum')], job()).summary, 'waiting for the figures of hpi and 1 more cluster')
})

t.test('scores have three decimals, rounded', async t => {
  t.strictSame(decide([candidate(1, 'hpi', { total_cpu_cores: 16 }), candidate(2, 'tum', { total_cpu_cores: 8 })], job({ cpu: 1, memory: 0 })).verdicts,
    ['1 0.969 hpi: chosen, 16 cores and 8000 MB free', '2 0.719 tum: fits, 8 cores and 8000 MB free'])
})

t.test('headroom is a share of the best, however small that is; who has not reported a figure has no share of it', async t => {
  const clusters = [candidate(1, 'hpi', { total_cpu_cores: 0.5, memory_in_mb: 0.8 }), candidate(2, 'tum', { total_cpu_cores: null, memory_in_mb: 0.4 }), candidate(3, 'dai', { total_cpu_cores: 0.4, memory_in_mb: null })]
  t.strictSame(decide(clusters, job({ cpu: 0, memory: 0 })).verdicts,
    ['1 1 hpi: chosen, 0.5 cores and 0.8 MB free', '3 0.4 dai: fits, 0.4 cores free', '2 0.25 tum: fits, 0.4 MB free'])
  t.strictSame(decide(clusters.slice(0, 1), job({ cpu: 0.25, memory: 0.2 })).verdicts, ['1 0.625 hpi: chosen, 0.5 cores and 0.8 MB free'])
})

t.test('spread: an instance of the same job costs half of the full headroom; pack: it is worth that much, and headroom costs', async t => {
  const clusters = [candidate(1, 'hpi', { total_cpu_cores: 8, memory_in_mb: 1000 }), candidate(2, 'tum', { total_cpu_cores: 4, memory_in_mb: 500 })]
  const asked = job({ cpu: 2, memory: 250, instances: [idOf(1), idOf(2), idOf(2), '', ''] })
  t.strictSame(decide(clusters, asked), {
    ...placed,
    assignments: ['3@1', '4@1'],
    summary: 'placed 2 instances on hpi',
    verdicts: ['1 0.25 hpi: chosen for 2 instances, 8 cores and 1000 MB free, has 1 instance of this job already', '2 -0.75 tum: fits, 4 cores and 500 MB free, has 2 instances of this job already']
  })
  asked.descriptor.placement = 'pack'
  t.strictSame(decide(clusters, asked), {
    ...placed,
    assignments: ['3@2', '4@2'],
    summary: 'placed 2 instances on tum',
    verdicts: ['2 1.75 tum: chosen for 2 instances, 4 cores and 500 MB free, has 2 instances of this job already', '1 0.75 hpi: fits, 8 cores and 1000 MB free, has 1 instance of this job already']
  })
})

t.test('groups of one job are decided on one after the other, and make one decision', async t => {
  const asked = job({ location: 'hpi', instances: ['', '', ''] })
  asked.instance_list[1]!.location = 'mars'
  asked.instance_list[2]!.location = 'tum'
  const clusters = [candidate(1, 'hpi'), candidate(2, 'tum', { last_heartbeat_at: null })]
  t.strictSame(decide(clusters, asked), {
    kind: 'placed',
    failure: 'TargetClusterNotFound',
    assignments: ['0@1'],
    summary: 'placed on hpi; no cluster named mars is registered; waiting for the figures of tum: no heartbeat yet',
    verdicts: ['1 no hpi: location is hpi, mars asked', '2 no tum: location is tum, mars asked'],
    omitted: 0,
    isSound: true
  })
  asked.instance_list.splice(1, 1)
  t.strictSame(decide(clusters, asked), {
    ...placed,
    assignments: ['0@1'],
    summary: 'placed on hpi; waiting for the figures of tum: no heartbeat yet',
    verdicts: ['2 no tum: no heartbeat yet', '1 no hpi: location is hpi, tum asked']
  })
  asked.descriptor.cluster_location = 'mars'
  t.strictSame(decide(clusters, asked), {
    ...none,
    failure: 'TargetClusterNotFound',
    summary: 'no cluster named mars is registered; waiting for the figures of tum: no heartbeat yet',
    verdicts: ['1 no hpi: location is hpi, mars asked', '2 no tum: location is tum, mars asked']
  })
  const alike = job({ instances: ['', ''] })
  alike.instance_list[1]!.location = ''
  t.equal(decide(clusters, alike).summary, 'placed on hpi', 'the same sentence is said once')
  t.strictSame(decide(clusters, alike).assignments, ['0@1', '1@1'])
})

t.test('of several groups that failed, and of several that wait, the first one gives the verdicts', async t => {
  const clusters = [candidate(1, 'hpi', { last_modified_timestamp: silentFor(60) }), candidate(2, 'tum', { last_heartbeat_at: null }), candidate(3, 'dai', { last_heartbeat_at: null })]
  const asked = (...locations: string[]) => {
    const several = job({ instances: locations.map(() => '') })
    for (const [n, location] of locations.entries()) several.instance_list[n]!.location = location
    return decide(clusters, several)
  }
  t.strictSame(asked('tum', 'hpi', 'mars'), {
    ...none,
    failure: 'TargetClusterNotActive',
    summary:
      'waiting for the figures of tum: no heartbeat yet; hpi: silent since 2026-01-31T11:59:00Z; ' +
      'no cluster named mars is registered',
    verdicts: [
      '1 no hpi: silent since 2026-01-31T11:59:00Z',
      '2 no tum: location is tum, hpi asked',
      '3 no dai: location is dai, hpi asked'
    ]
  })
  t.strictSame(asked('tum', 'dai'), {
    ...none,
    kind: 'waiting',
    failure: undefined,
    summary: 'waiting for the figures of tum: no heartbeat yet; waiting for the figures of dai: no heartbeat yet',
    verdicts: [
      '2 no tum: no heartbeat yet',
      '3 no dai: location is dai, tum asked',
      '1 no hpi: silent since 2026-01-31T11:59:00Z'
    ]
  })
})

t.test('a group of which some found no room fails as a whole decision does', async t => {
  const asked = job({ location: 'hpi', instances: ['', '', ''] })
  asked.instance_list[2]!.location = 'tum'
  t.strictSame(decide([candidate(1, 'hpi', { total_cpu_cores: 1 }), candidate(2, 'tum')], asked), {
    kind: 'placed',
    failure: 'TargetClusterNoCapacity',
    assignments: ['0@1', '2@2'],
    summary: 'placed 1 of 2 instances; hpi: 0 cores free of 1 asked; placed on tum',
    verdicts: ['1 no hpi: took 1 instance, now 0 cores free of 1 asked', '2 no tum: location is tum, hpi asked'],
    omitted: 0,
    isSound: true
  })
})

t.test('the node of a job does not hold for an instance that a move sends elsewhere; an empty location is any', async t => {
  const cluster = candidate(1, 'hpi', { workers: [worker('vm-2', 4)] })
  const asked = job({ location: 'mars', node: 'vm-1' })
  t.equal(decide([cluster], asked).failure, 'TargetClusterNotFound')
  asked.instance_list[0]!.location = ''
  t.strictSame(decide([cluster], asked).assignments, ['0@1'])
  const inner = job({})
  inner.descriptor.requirements = { cpu: 1, memory: 100, node: 'vm-1' }
  t.equal(decide([cluster], inner).summary, 'hpi: has no worker node vm-1', 'requirements.node is the same')
  const outer = job({ node: 'vm-1' })
  delete outer.descriptor.requirements
  t.equal(decide([cluster], outer).summary, 'hpi: has no worker node vm-1', 'without requirements too')
  delete outer.descriptor.node
  t.strictSame(decide([cluster], outer).assignments, ['0@1'], 'who asks nothing fits')
})

t.test('instances that move away from different clusters ask for different things', async t => {
  const asked = job({ instances: ['', ''] })
  asked.instance_list[0]!.move = { from: idOf(1), why: 'asked', since: ago(1) }
  asked.instance_list[1]!.move = { from: idOf(2), why: 'asked', since: ago(1) }
  t.strictSame(decide([candidate(1, 'hpi'), candidate(2, 'tum')], asked).assignments, ['0@2', '1@1'])
})

t.test('what moves goes neither to where it moves away from nor to where an earlier instance is still to be removed', async t => {
  const asked = job()
  asked.instance_list[0]!.move = { from: idOf(1), why: 'asked', since: ago(1) }
  asked.retiring = [
    {
      command_id: 'c',
      cluster_id: idOf(2),
      instances: [],
      error: null,
      since: new Date(0).toISOString(),
      released: false,
      original: false,
      told: null
    }
  ]
  t.strictSame(decide([candidate(1, 'hpi'), candidate(2, 'tum'), candidate(3, 'dai', { total_cpu_cores: 2 })], asked), {
    ...placed,
    assignments: ['0@3'],
    summary: 'placed on dai',
    verdicts: ['3 0.744 dai: chosen, 2 cores and 8000 MB free', '1 no hpi: the instance is moving away from it', '2 no tum: still has to remove an earlier instance of it']
  })
})

t.test('an instance that waits for a removal is not placed, nor does its number', async t => {
  const asked = job({ instances: ['', '', ''] })
  asked.instance_list[1]!.awaits = 'command'
  t.strictSame(decide([candidate(1, 'hpi')], asked).assignments, ['0@1', '2@1'])
})

t.test('of several refusals of one cluster the newest shows, and each one doubles the rest', async t => {
  const refused = (instances: number, ...seconds: number[]) => {
    const asked = job({ instances: Array(instances).fill('') })
    asked.instance_list[0]!.refusals = seconds.map(each => refusedBy(idOf(1), each, `after ${each}`))
    return decide([candidate(1, 'hpi')], asked)
  }
  t.equal(
    refused(1, 50, 20, 40).summary,
    `hpi: ${refusal('11:59:40', 'after 20', '12:03:40')}`
  )
  const twice = job()
  twice.instance_list[0]!.refusals = [refusedBy(idOf(1), 20, 'first'), refusedBy(idOf(1), 20, 'second')]
  t.equal(
    decide([candidate(1, 'hpi')], twice).summary,
    `hpi: ${refusal('11:59:40', 'second', '12:01:40')}`,
    'the last of the same moment'
  )
  t.equal(refused(1, 59).kind, 'unplaceable')
  t.equal(refused(1, 60).kind, 'placed', 'a minute')
  t.equal(refused(1, 119, 119).kind, 'unplaceable')
  t.equal(refused(1, 120, 120).kind, 'placed', 'two')
  t.equal(refused(2, 60, 60).kind, 'placed', 'two refusals of two instances are one each')
  t.equal(refused(2, 119, 119, 119).kind, 'unplaceable')
  t.equal(refused(1, ...Array(9).fill(1799)).kind, 'unplaceable')
  t.equal(refused(1, ...Array(9).fill(1800)).kind, 'placed', 'half an hour at most')
  t.equal(
    refused(1, 1, ...Array(9).fill(3000)).summary,
    `hpi: ${refusal('11:59:59', 'after 1', '12:29:59')}`
  )
})

t.test('a cluster\'s own words are cut, and times are to the second', async t => {
  const asked = job()
  asked.instance_list[0]!.refusals = [refusedBy(idOf(1), 5, 'x'.repeat(300))]
  t.equal(
    decide([candidate(1, 'hpi')], asked).summary,
    `hpi: ${refusal('11:59:55', 'x'.repeat(200), '12:00:55')}`
  )
  const silent = (seconds: number) => decide([candidate(1, 'hpi', { last_modified_timestamp: silentFor(seconds) })], job()).summary
  t.equal(silent(59), 'hpi: silent since 2026-01-31T11:59:01Z')
  t.equal(silent(60), 'hpi: silent since 2026-01-31T11:59:00Z')
  t.equal(silent(61.9), 'hpi: silent since 2026-01-31T11:58:58Z')
  t.equal(silent(86_400), 'hpi: silent since 2026-01-30T12:00:00Z')
  t.equal(silent(86_400 * 2 + 3600 * 25), 'hpi: silent since 2026-01-28T11:00:00Z')
  const fresh = job()
  fresh.instance_list[0]!.refusals = [refusedBy(idOf(1), 0.5)]
  t.equal(
    decide([candidate(1, 'hpi')], fresh).summary,
    `hpi: ${refusal('11:59:59', 'NO_WORKER_CAPACITY', '12:00:59')}`
  )
})

t.test('five technologies are named, and the others counted', async t => {
  const offers = (technology: string[]) => decide([candidate(1, 'hpi', { technology })], job()).summary
  t.equal(offers(['a', 'b', 'c', 'd', 'e']), 'hpi: offers a, b, c, d, e, docker asked')
  t.equal(offers(['a', 'b', 'c', 'd', 'e', 'f']), 'hpi: offers a, b, c, d, e and 1 more, docker asked')
})

t.test('what no single worker holds is named with what is asked, and nothing else', async t => {
  const cluster = candidate(1, 'hpi', { workers: [worker('a', 1.005, 500), worker('b', 1.005, 500)], total_cpu_cores: 2.01, memory_in_mb: 1000 })
  const why = (asked: Parameters<typeof job>[0]) => decide([cluster], job(asked)).summary
  t.equal(why({ cpu: 1.5, memory: 0 }), 'hpi: 2.01 cores free in all, but no worker node for docker has 1.5 cores free')
  t.equal(why({ cpu: 0, memory: 600 }), 'hpi: 1000 MB free in all, but no worker node for docker has 600 MB free')
  t.equal(why({ cpu: 0.1, memory: 600 }), 'hpi: 2.01 cores and 1000 MB free in all, but no worker node for docker has 0.1 cores and 600 MB free')
  t.equal(why({ cpu: 1.5, memory: 0.1 }), 'hpi: 2.01 cores and 1000 MB free in all, but no worker node for docker has 1.5 cores and 0.1 MB free')
  t.equal(why({ cpu: 2.5, memory: 600 }), 'hpi: 2.01 cores free of 2.5 asked', 'cores come first')
})

t.test('amounts have two decimals; what is asked is rounded up and what is free down', async t => {
  const why = (cpu: number, asked: number) => decide([candidate(1, 'hpi', { total_cpu_cores: cpu })], job({ cpu: asked })).summary
  t.equal(why(0.999, 1.001), 'hpi: 0.99 cores free of 1.01 asked')
  t.equal(why(0.29, 0.3), 'hpi: 0.29 cores free of 0.3 asked', 'no error of binary fractions shows')
  t.equal(why(0.57, 0.58), 'hpi: 0.57 cores free of 0.58 asked')
  t.equal(why(1.1, 1.11), 'hpi: 1.1 cores free of 1.11 asked')
  t.equal(why(0, 2.2), 'hpi: 0 cores free of 2.2 asked')
  t.equal(why(-3, 1), 'hpi: 0 cores free of 1 asked')
})

t.test('a cluster that has more room than when it refused is asked again', async t => {
  const offered = { cpu: 2, memory: 4000, nodes: 1 }
  const asked = job({ cpu: 1 })
  asked.instance_list[0]!.refusals = [{ ...refusedBy(idOf(1), 5), offered }]
  const kind = (more: Parameters<typeof candidate>[2], request = asked) =>
    decide([candidate(1, 'hpi', { total_cpu_cores: 2, memory_in_mb: 4000, active_nodes: 1, ...more })], request).kind
  t.equal(kind({}), 'unplaceable')
  t.equal(kind({ total_cpu_cores: 2.9 }), 'unplaceable', 'less than another instance')
  t.equal(kind({ total_cpu_cores: 3 }), 'placed')
  t.equal(kind({ memory_in_mb: 4100 }), 'unplaceable', 'it fluctuates')
  t.equal(kind({ memory_in_mb: 4400 }), 'placed')
  t.equal(kind({ active_nodes: 2 }), 'placed')
  t.equal(kind({ total_cpu_cores: 1 }), 'unplaceable')
  const unknown = job({ cpu: 1 })
  unknown.instance_list[0]!.refusals = [refusedBy(idOf(1), 5)]
  t.equal(kind({ total_cpu_cores: 200 }, unknown), 'unplaceable', 'nobody knows what it had')
})
