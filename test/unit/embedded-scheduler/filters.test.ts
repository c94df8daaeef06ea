import t from 'tap'
import type { Cluster } from '../../../schemas/cluster.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import type { HostPortUse } from '../../../stores/store.js'
import type { Candidate } from '../../../services/scheduler-client/scheduler.js'
import { candidate, idOf, job, PASS, silentFor } from './sample.js'

/** The verdict on the only cluster, for one job. */
function verdictOn (cluster: Candidate, asked: Parameters<typeof job>[0] = {}) {
  const { kind, explanation } = createPass([cluster], PASS).decide(job(asked))
  return `${kind}: ${explanation.clusters[0]?.reason}`
}

const worker = (name: string, cpu: number, memory: number, technology?: string[]) =>
  ({ name, cpu_cores: cpu, memory_in_mb: memory, ...technology && { technology } })

const withWorkers = (...workers: NonNullable<Cluster['workers']>) => candidate(1, 'hpi', {
  workers,
  total_cpu_cores: workers.reduce((sum, { cpu_cores: cpu }) => sum + cpu, 0),
  memory_in_mb: workers.reduce((sum, { memory_in_mb: memory }) => sum + memory, 0),
  technology: ['docker', 'unikernel']
})

t.test('a cluster that fits is chosen, and the verdict shows what it had free', async t => {
  t.equal(verdictOn(candidate(1, 'hpi')), 'placed: hpi: chosen, 4 cores and 8000 MB free')
})

t.test('a cluster is silent from the grace time on, and not a moment before', async t => {
  t.equal(verdictOn(candidate(1, 'hpi', { last_modified_timestamp: silentFor(44.999) })), 'placed: hpi: chosen, 4 cores and 8000 MB free')
  t.equal(
    verdictOn(candidate(1, 'hpi', { last_modified_timestamp: silentFor(45) })),
    'unplaceable: hpi: silent since 2026-01-31T11:59:15Z'
  )
  t.equal(
    verdictOn(candidate(1, 'hpi', { last_modified_timestamp: silentFor(130) })),
    'unplaceable: hpi: silent since 2026-01-31T11:57:50Z'
  )
  t.equal(
    verdictOn(candidate(1, 'hpi', { last_modified_timestamp: silentFor(2 * 86400 + 5 * 3600 + 7) })),
    'unplaceable: hpi: silent since 2026-01-29T06:59:53Z'
  )
})

t.test('a location matches the location or the name of a cluster, exactly', async t => {
  const munich = candidate(1, 'tum', { cluster_location: 'munich' })
  t.match(verdictOn(munich, { location: 'munich' }), /^placed/)
  t.match(verdictOn(munich, { location: 'tum' }), /^placed/)
  t.equal(verdictOn(munich, { location: 'Munich' }), 'unplaceable: tum: location is munich, Munich asked')
  t.equal(verdictOn(candidate(1, 'tum', { cluster_location: null }), { location: 'hpi' }), 'unplaceable: tum: has no location, hpi asked')
  t.equal(
    verdictOn(candidate(1, 'tum', { last_modified_timestamp: silentFor(60) }), { location: 'hpi' }),
    'unplaceable: tum: silent since 2026-01-31T11:59:00Z'
  )
})

t.test('a cluster without a heartbeat is waited for, whatever is asked', async t => {
  const fresh = candidate(1, 'hpi', { last_heartbeat_at: null, total_cpu_cores: null, memory_in_mb: null, technology: null })
  t.equal(verdictOn(fresh), 'waiting: hpi: no heartbeat yet')
  t.equal(verdictOn(fresh, { cpu: 0, memory: 0, runtime: 'unikernel' }), 'waiting: hpi: no heartbeat yet')
})

t.test('an unknown figure is waited for where something is asked of it, and only there', async t => {
  const noCores = candidate(1, 'hpi', { total_cpu_cores: null })
  t.equal(verdictOn(noCores), 'waiting: hpi: has not reported its free cores, 1 asked')
  t.equal(verdictOn(noCores, { cpu: 0 }), 'placed: hpi: chosen, 8000 MB free')
  t.equal(verdictOn(noCores, { memory: 9000 }), 'unplaceable: hpi: 8000 MB free of 9000 asked', 'too little memory is known already')
  t.equal(verdictOn(candidate(1, 'hpi', { memory_in_mb: null })), 'waiting: hpi: has not reported its free memory, 100 MB asked')
  t.equal(verdictOn(candidate(1, 'hpi', { total_cpu_cores: null, memory_in_mb: null }), { cpu: 0, memory: 0 }), 'placed: hpi: chosen, free capacity unknown')
})

t.test('the runtime must be among the technologies of the cluster; one that lists none has docker only', async t => {
  t.match(verdictOn(candidate(1, 'hpi', { technology: ['docker', 'unikernel'] }), { runtime: 'unikernel' }), /^placed/)
  t.equal(verdictOn(candidate(1, 'hpi', { technology: ['docker', 'wasm'] }), { runtime: 'unikernel' }), 'unplaceable: hpi: offers docker, wasm, unikernel asked')
  for (const technology of [null, []]) {
    t.match(verdictOn(candidate(1, 'hpi', { technology })), /^placed/)
    t.equal(verdictOn(candidate(1, 'hpi', { technology }), { runtime: 'unikernel' }), 'unplaceable: hpi: offers docker, unikernel asked')
  }
})

t.test('of many technologies the sentence names a few', async t => {
  t.equal(verdictOn(candidate(1, 'hpi', { technology: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] })), 'unplaceable: hpi: offers a, b, c, d, e and 2 more, docker asked')
})

t.test('the requested node must be among the listed workers; where none are listed the cluster picks it', async t => {
  t.match(verdictOn(withWorkers(worker('vm-1', 2, 500)), { node: 'vm-1' }), /^placed/)
  t.equal(verdictOn(withWorkers(worker('vm-2', 2, 500)), { node: 'vm-1' }), 'unplaceable: hpi: has no worker node vm-1')
  t.match(verdictOn(candidate(1, 'hpi'), { node: 'vm-1' }), /^placed/)
  t.match(verdictOn(candidate(1, 'hpi', { workers: [] }), { node: 'vm-1' }), /^placed/)
})

t.test('cpu and memory must be free; sentences never round a shortfall away', async t => {
  t.equal(verdictOn(candidate(1, 'hpi', { total_cpu_cores: 0.2 })), 'unplaceable: hpi: 0.2 cores free of 1 asked')
  t.equal(verdictOn(candidate(1, 'hpi', { total_cpu_cores: 1 }), { cpu: 2 }), 'unplaceable: hpi: 1 core free of 2 asked')
  t.equal(verdictOn(candidate(1, 'hpi', { total_cpu_cores: 0.9999 })), 'unplaceable: hpi: 0.99 cores free of 1 asked')
  t.equal(verdictOn(candidate(1, 'hpi', { total_cpu_cores: 1 }), { cpu: 1.001 }), 'unplaceable: hpi: 1 core free of 1.01 asked')
  t.equal(verdictOn(candidate(1, 'hpi', { memory_in_mb: 80 })), 'unplaceable: hpi: 80 MB free of 100 asked')
  t.match(verdictOn(candidate(1, 'hpi', { total_cpu_cores: 1, memory_in_mb: 100 })), /^placed/, 'exactly enough is enough')
})

t.test('what is reserved counts as taken, and never shows as less than nothing', async t => {
  t.equal(verdictOn(candidate(1, 'hpi', {}, { cpu: 3.5, memory: 0 })), 'unplaceable: hpi: 0.5 cores free of 1 asked')
  t.equal(verdictOn(candidate(1, 'hpi', {}, { cpu: 9, memory: 0 })), 'unplaceable: hpi: 0 cores free of 1 asked')
})

t.test('asking nothing passes even where less than nothing is free', async t => {
  t.match(verdictOn(candidate(1, 'hpi', {}, { cpu: 9, memory: 9000 }), { cpu: 0, memory: 0 }), /^placed/)
})

t.test('where workers are listed, one of them must have it all', async t => {
  t.equal(verdictOn(withWorkers(worker('a', 2, 500), worker('b', 2, 500)), { cpu: 3, memory: 0 }),
    'unplaceable: hpi: 4 cores free in all, but no worker node for docker has 3 cores free')
  t.equal(verdictOn(withWorkers(worker('a', 4, 50), worker('b', 1, 500)), { cpu: 2, memory: 100 }),
    'unplaceable: hpi: 5 cores and 550 MB free in all, but no worker node for docker has 2 cores and 100 MB free')
  t.equal(verdictOn(withWorkers(worker('a', 2, 500), worker('b', 2, 500)), { cpu: 5 }), 'unplaceable: hpi: 4 cores free of 5 asked')
})

t.test('the requested node is named when it is the one that has too little', async t => {
  const cluster = withWorkers(worker('vm-1', 0.5, 500), worker('vm-2', 8, 50))
  t.equal(verdictOn(cluster, { node: 'vm-1' }), 'unplaceable: hpi: worker node vm-1 has 0.5 cores free of 1 asked')
  t.equal(verdictOn(cluster, { node: 'vm-2' }), 'unplaceable: hpi: worker node vm-2 has 50 MB free of 100 asked')
})

t.test('the technology of a worker counts where it is listed, else that of its cluster', async t => {
  const cluster = withWorkers(worker('a', 2, 500, ['docker']), worker('b', 1, 500))
  t.match(verdictOn(cluster, { runtime: 'unikernel' }), /^placed/)
  t.equal(verdictOn(cluster, { runtime: 'unikernel', cpu: 2 }), 'unplaceable: hpi: 3 cores and 1000 MB free in all, but no worker node for unikernel has 2 cores and 100 MB free')
  t.equal(verdictOn(cluster, { runtime: 'unikernel', node: 'a' }), 'unplaceable: hpi: worker node a offers docker, unikernel asked')
  t.equal(verdictOn(withWorkers(worker('a', 2, 500, ['docker'])), { runtime: 'unikernel' }), 'unplaceable: hpi: no worker node offers unikernel')
})

t.test('the sums over the workers stand in for sums that a cluster does not report', async t => {
  const cluster = withWorkers(worker('a', 2, 500), worker('b', 2, 500))
  const sumless = { ...cluster, cluster: { ...cluster.cluster, total_cpu_cores: null, memory_in_mb: null } }
  t.equal(verdictOn(sumless), 'placed: hpi: chosen, 4 cores and 1000 MB free')
  t.equal(verdictOn({ ...sumless, reserved: { cpu: 3.5, memory: 0 } }), 'unplaceable: hpi: 0.5 cores free of 1 asked', 'what is reserved comes off the sum')
})

t.test('what a pass gives away comes off the worker with most cores left', async t => {
  const pass = createPass([withWorkers(worker('a', 2, 500), worker('b', 3, 500))], PASS)
  t.equal(pass.decide(job({ cpu: 1.5 })).kind, 'placed')
  t.equal(pass.decide(job({ cpu: 2.5, memory: 0 })).explanation.summary, 'hpi: 3.5 cores free in all, but no worker node for docker has 2.5 cores free', 'b bore it')
  t.equal(pass.decide(job({ cpu: 2 })).kind, 'placed', 'a still has its 2')
  const third = pass.decide(job({ cpu: 1.5, memory: 0 }))
  t.equal(third.kind, 'placed', 'b has 1.5 left')
  t.match(pass.decide(job({ cpu: 0, memory: 600 })).explanation.summary, 'hpi: 800 MB free in all, but no worker node for docker has 600 MB free')
})

t.test('verdicts carry the id and the name of the cluster and whether it fits', async t => {
  const { explanation } = createPass([candidate(1, 'hpi'), candidate(2, 'tum', { total_cpu_cores: 0 })], PASS).decide(job())
  t.match(explanation, {
    decided_at: '2026-01-31T12:00:00.000Z',
    outcome: 'placed',
    clusters: [
      { cluster_id: idOf(1), cluster_name: 'hpi', fits: true, score: Number },
      { cluster_id: idOf(2), cluster_name: 'tum', fits: false, score: null }
    ],
    omitted: 0
  })
})

t.test('a cluster takes as many instances with one host port as it has workers', async t => {
  const asked = (port: unknown, instances = ['', '', '']) => {
    const wanted = job({ instances })
    return { ...wanted, descriptor: { ...wanted.descriptor, port: port as number } }
  }
  const placed = (more: Parameters<typeof candidate>[2], port: unknown, hostPorts: HostPortUse[] = []) => {
    const decision = createPass([candidate(1, 'hpi', { total_cpu_cores: 64, ...more })], {
      ...PASS,
      hostPorts
    }).decide(asked(port))
    return [decision.kind === 'placed' ? decision.assignments.length : 0, decision.explanation.summary] as const
  }
  const workers = ['a', 'b'].map(name => ({ name, cpu_cores: 32, memory_in_mb: 4000 }))
  const taken = [
    { cluster_id: idOf(1), host_port: '8080/tcp', instances: 2 },
    { cluster_id: idOf(9), host_port: '8080/tcp', instances: 2 }
  ]
  t.equal(placed({ active_nodes: 1 }, 80)[0], 3, 'a port of the service takes none of the worker')
  t.same(placed({ active_nodes: 1 }, '8080:80'), [
    1,
    'placed 1 of 3 instances; hpi: host port 8080/tcp is taken on its only worker'
  ])
  t.equal(placed({ active_nodes: null }, '8080:80')[0], 1)
  t.equal(placed({ active_nodes: 0 }, '8080:80')[0], 1)
  t.equal(placed({ active_nodes: 3 }, '8080:80')[0], 3)
  t.same(placed({ active_nodes: 3, workers }, '8080:80'), [
    2,
    'placed 2 of 3 instances; hpi: host port 8080/tcp is taken on all its 2 workers'
  ])
  t.equal(placed({ active_nodes: 3 }, '8080:80', taken)[0], 1)
  t.equal(placed({ active_nodes: 2 }, '8080:80', taken)[0], 0)
  t.equal(placed({ active_nodes: 2 }, '8081:80', taken)[0], 2)
  const several = '6080:80/tcp;8080:70/udp'
  t.equal(placed({ active_nodes: 2 }, several, taken)[0], 2, 'another protocol')
  const both = [
    { cluster_id: idOf(1), host_port: '6080/tcp;8080/udp', instances: 1 },
    { cluster_id: idOf(1), host_port: '8080/udp', instances: 1 }
  ]
  t.same(placed({ active_nodes: 2 }, several, both), [0, 'hpi: host port 8080/udp is taken on all its 2 workers'])
  t.equal(placed({ active_nodes: 2 }, '6080:1', both)[0], 1)
  const pass = createPass([candidate(1, 'hpi', { active_nodes: 2 })], PASS)
  const kinds = [1, 2, 3].map(() => pass.decide(asked('8080:80', [''])).kind)
  t.same(kinds, ['placed', 'placed', 'unplaceable'], 'three services')
})
