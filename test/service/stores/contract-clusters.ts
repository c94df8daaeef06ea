import { ObjectId } from 'bson'
import type { Test } from 'tap'
import { PlacementView, type Cluster } from '../../../schemas/cluster.js'
import type { Open } from './opened.js'
import { aCommand, aJob, registered, saved } from './samples.js'

const UNKNOWN = new ObjectId().toHexString()
const T0 = Date.parse('2026-01-31T12:00:00.250Z')

/** Promises of ClusterStore. */
export function clusterContract (t: Test, open: Open): void {
  t.test('a new cluster has an id of 24 hex digits and no figures yet', async t => {
    const { store } = await open(t)
    const cluster = await registered(store, 'hpi', T0)
    t.match(cluster.id, /^[0-9a-f]{24}$/)
    t.strictSame(cluster, {
      id: cluster.id,
      cluster_name: 'hpi',
      ip: '10.0.0.1',
      port: 10000,
      registered_over: 'channel',
      delivery: 'http',
      network_component_port: 6000,
      clusterinfo: { arch: 'arm64' },
      cluster_location: 'hpi',
      nodes: 0,
      active_nodes: null,
      aggregated_cpu_percent: null,
      total_cpu_cores: null,
      aggregated_memory_percent: null,
      memory_in_mb: null,
      technology: null,
      more: null,
      workers: null,
      warnings: [],
      scheduling: 'active',
      lost_at: null,
      evicted_at: null,
      recovered_at: null,
      losses: 0,
      unknown_jobs: [],
      takeover: null,
      registered_at: '2026-01-31T12:00:00.250Z',
      last_heartbeat_at: null,
      last_modified_timestamp: T0 / 1000
    })
    t.strictSame(await store.clusters.get(cluster.id), cluster)
  })

  t.test('placement gets its figures, and workers only of those that take something new', async t => {
    const { store } = await open(t)
    t.strictSame(await store.clusters.placementViews(), [])
    const workers = [{ name: 'w1', cpu_cores: 4, memory_in_mb: 100, gpu: 'yes' }]
    const figures = {
      total_cpu_cores: 4,
      memory_in_mb: 100,
      active_nodes: 1,
      technology: ['docker'],
      workers,
      warnings: ['w']
    }
    const clusters = []
    for (const name of ['open', 'cordoned', 'draining', 'lost', 'flapping']) {
      const cluster = await registered(store, name, T0)
      await store.clusters.heartbeat(cluster.id, { ...figures, more: { big: 'x'.repeat(1000) } }, T0)
      clusters.push(cluster)
    }
    const [, cordoned, draining, lost, flapping] = clusters as [unknown, Cluster, Cluster, Cluster, Cluster]
    await store.clusters.update(cordoned.id, { scheduling: 'cordoned' })
    await store.clusters.update(draining.id, { scheduling: 'draining' })
    await store.clusters.update(lost.id, { lost_at: '2026-01-31T12:01:00.000Z' })
    await store.clusters.update(flapping.id, { losses: 3, recovered_at: '2026-01-31T12:01:00.000Z' })
    const views = await store.clusters.placementViews()
    t.strictSame(views.map(({ cluster_name: name, workers: listed }) => [name, listed !== null]), [
      ['open', true],
      ['cordoned', false],
      ['draining', false],
      ['lost', false],
      ['flapping', true]
    ])
    for (const view of views) {
      const whole = (await store.clusters.get(view.id))! as unknown as Record<string, unknown>
      for (const field of Object.keys(PlacementView.properties).filter(name => name !== 'workers')) {
        t.strictSame((view as unknown as Record<string, unknown>)[field], whole[field], `${view.cluster_name} ${field}`)
      }
      t.notOk(JSON.stringify(view).includes('xxx'), 'nothing of a content that is not ours')
    }
    t.strictSame(views[0]!.workers, workers)
  })

  t.test('registering a known name keeps its id, its worker count and its figures', async t => {
    const { store } = await open(t)
    const first = await registered(store, 'hpi', T0)
    await store.clusters.setNodes(first.id, 4)
    await store.clusters.heartbeat(first.id, { total_cpu_cores: 8.5, technology: ['docker'], warnings: ['w'] }, T0 + 1000)
    const before = await store.clusters.get(first.id)
    const again = await store.clusters.register(
      {
        cluster_name: 'hpi',
        ip: '10.9.9.9',
        port: null,
        network_component_port: null,
        registered_over: 'channel',
        delivery: 'channel',
        clusterinfo: null,
        cluster_location: null
      },
      T0 + 5000
    )
    t.strictSame(again, {
      ...before,
      ip: '10.9.9.9',
      port: null,
      network_component_port: null,
      registered_over: 'channel',
      delivery: 'channel',
      clusterinfo: null,
      cluster_location: null,
      last_modified_timestamp: (T0 + 5000) / 1000
    })
    t.equal((await store.clusters.list({})).length, 1)
  })

  t.test('clusters that register the same name at the same time are one', async t => {
    const { store } = await open(t)
    const clusters = await Promise.all(Array.from({ length: 20 }, () => registered(store, 'hpi')))
    t.equal(new Set(clusters.map(({ id }) => id)).size, 1)
  })

  t.test('a heartbeat replaces what it reports and keeps everything else', async t => {
    const { store } = await open(t)
    const { id } = await registered(store, 'hpi', T0)
    const workers = [{ name: 'pi', cpu_cores: 3.5, memory_in_mb: 900, technology: ['docker'], rack: 7 }]
    const all = {
      aggregated_cpu_percent: 12.5,
      total_cpu_cores: 12,
      aggregated_memory_percent: 40,
      memory_in_mb: 24000,
      active_nodes: 3,
      technology: ['docker', 'unikernel'],
      workers,
      more: { gpu: [1, null] }
    }
    t.equal(await store.clusters.heartbeat(id, { ...all, warnings: ['one', 'two'] }, T0 + 1000), true)
    t.match(await store.clusters.get(id), { ...all, warnings: ['one', 'two'], last_heartbeat_at: '2026-01-31T12:00:01.250Z', last_modified_timestamp: (T0 + 1000) / 1000 })
    await store.clusters.heartbeat(id, { aggregated_cpu_percent: 0, technology: [], more: null, warnings: [] }, T0 + 2000)
    t.strictSame(await store.clusters.get(id), {
      ...await registered(store, 'hpi', T0 + 2000),
      ...all,
      aggregated_cpu_percent: 0,
      technology: [],
      more: null,
      warnings: [],
      last_heartbeat_at: '2026-01-31T12:00:02.250Z'
    }, 'zero, an empty list and null are values; warnings are always those of the last one')
  })

  t.test('a heartbeat or a sign of life of an unknown cluster creates nothing', async t => {
    const { store } = await open(t)
    t.equal(await store.clusters.heartbeat(UNKNOWN, { active_nodes: 1, warnings: [] }, T0), false)
    t.equal(await store.clusters.touch(UNKNOWN, T0), false)
    t.equal(await store.clusters.addNodes(UNKNOWN, 1), undefined)
    t.equal(await store.clusters.setNodes(UNKNOWN, 1), undefined)
    t.equal(await store.clusters.get(UNKNOWN), undefined)
    t.strictSame(await store.clusters.list({}), [])
  })

  t.test('the worker count adds up under concurrency and is never below 0', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const counts = await Promise.all(Array.from({ length: 30 }, () => store.clusters.addNodes(id, 1)))
    t.strictSame(new Set(counts).size, 30, 'each one saw its own step')
    t.equal(await store.clusters.addNodes(id, -12), 18)
    t.equal(await store.clusters.addNodes(id, -100), 0)
    t.equal(await store.clusters.setNodes(id, 7), 7)
    t.equal((await store.clusters.get(id))!.nodes, 7)
  })

  t.test('lists come in order of id, page by page', async t => {
    const { store } = await open(t)
    const ids = (await Promise.all(Array.from({ length: 7 }, () => registered(store)))).map(({ id }) => id).sort()
    t.strictSame((await store.clusters.list({})).map(({ id }) => id), ids)
    t.strictSame((await store.clusters.list({ limit: 3 })).map(({ id }) => id), ids.slice(0, 3))
    t.strictSame((await store.clusters.list({ after: ids[2]!, limit: 3 })).map(({ id }) => id), ids.slice(3, 6))
    t.strictSame((await store.clusters.list({ after: ids[6]! })).map(({ id }) => id), [])
  })

  t.test('the signs of life of all clusters come with what was made of their silence', async t => {
    const { store, reopen } = await open(t)
    const [steady, held, evicted] = await Promise.all(['a', 'b', 'c'].map(name => registered(store, name, T0)))
    const at = new Date(T0 + 500).toISOString()
    await store.clusters.update(held!.id, { lost_at: at, evicted_at: null })
    await store.clusters.update(evicted!.id, { lost_at: at, evicted_at: at })
    await store.clusters.touch(steady!.id, T0 + 2000)
    const signs = async (of = store) =>
      Object.fromEntries((await of.clusters.signs()).map(({ id, ...sign }) => [id, sign]))
    const expected = {
      [steady!.id]: { last_modified_timestamp: (T0 + 2000) / 1000, lost: false, evicted: false },
      [held!.id]: { last_modified_timestamp: T0 / 1000, lost: true, evicted: false },
      [evicted!.id]: { last_modified_timestamp: T0 / 1000, lost: true, evicted: true }
    }
    t.same(await signs(), expected)
    t.match(await store.clusters.getMany([evicted!.id, held!.id, 'f'.repeat(24)]).then(found =>
      Object.fromEntries(found.map(cluster => [cluster.id, cluster]))), {
      [held!.id]: { lost_at: at, evicted_at: null },
      [evicted!.id]: { lost_at: at, evicted_at: at }
    })
    t.same(await signs(await reopen()), expected, 'also after a restart')
  })

  t.test('a sign of life is stored as it comes: the clock of its machine may have been set back', async t => {
    const { store } = await open(t)
    const { id } = await registered(store, 'hpi', T0 + 3_600_000)
    const stamp = async () => (await store.clusters.signs())[0]!.last_modified_timestamp * 1000
    await store.clusters.heartbeat(id, { warnings: [] }, T0 + 3_600_000)
    await store.clusters.heartbeat(id, { warnings: [] }, T0)
    t.equal(await stamp(), T0)
    t.equal((await store.clusters.get(id))?.last_heartbeat_at, new Date(T0).toISOString())
    await registered(store, 'hpi', T0 - 1000)
    await store.clusters.heartbeat(id, { warnings: [] }, T0 - 1000)
    t.equal(await stamp(), T0 - 1000)
  })

  t.test('clusters are found by location, name and id', async t => {
    const { store } = await open(t)
    const [a, b] = [await registered(store, 'a'), await registered(store, 'b')]
    const ids = async (place: string) => (await store.clusters.at(place)).map(({ id }) => id)
    t.strictSame(await ids('hpi'), [a.id, b.id].sort(), 'the location of both')
    t.strictSame(await ids('a'), [a.id])
    t.strictSame(await ids(b.id), [b.id])
    t.strictSame(await ids('nowhere'), [])
  })

  t.test('an update sets the fields that it names, and neither heartbeat nor registration resets them', async t => {
    const { store, reopen } = await open(t)
    const { id } = await registered(store, 'hpi', T0)
    t.match(await store.clusters.get(id), { scheduling: 'active', losses: 0, lost_at: null, unknown_jobs: [] })
    const unknown = [{ job_id: 'ffffffffffffffffffffffff', status: 'RUNNING' as const }]
    const at = '2026-01-31T12:00:00.000Z'
    t.equal(await store.clusters.update(id, { scheduling: 'draining', unknown_jobs: unknown }), true)
    t.equal(await store.clusters.update(id, { losses: 2, lost_at: at }), true)
    await store.clusters.heartbeat(id, { warnings: [] }, T0 + 1)
    await registered(store, 'hpi', T0 + 2)
    t.match(await (await reopen()).clusters.get(id), { scheduling: 'draining', losses: 2, lost_at: at, recovered_at: null, unknown_jobs: unknown })
  })

  t.test('an update may set null, and changes no unknown cluster', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const at = '2026-01-31T12:00:00.000Z'
    await store.clusters.update(id, { lost_at: at, losses: 1 })
    await store.clusters.update(id, { lost_at: null, recovered_at: at })
    t.match(await store.clusters.get(id), { lost_at: null, recovered_at: at, losses: 1, scheduling: 'active' })
    t.equal(await store.clusters.update('ffffffffffffffffffffffff', { losses: 1 }), false)
  })

  t.test('a removed cluster is forgotten with its outbox, and its name is a new cluster', async t => {
    const { store } = await open(t)
    const cluster = await registered(store, 'hpi')
    const job = aJob()
    await saved(store, job, { commands: [aCommand(job, cluster.id)] })
    t.equal(await store.clusters.remove(cluster.id), true)
    t.equal(await store.clusters.remove(cluster.id), false)
    t.equal(await store.clusters.get(cluster.id), undefined)
    t.strictSame(await store.outbox.pending(cluster.id, { after: 0, limit: 10 }), [])
    t.strictSame(await store.outbox.position(cluster.id), { acked: 0, last: 0 })
    t.not((await registered(store, 'hpi')).id, cluster.id)
  })

  t.test('clusters survive a restart', async t => {
    const { store, reopen } = await open(t)
    const { id } = await registered(store, 'hpi', T0)
    await store.clusters.setNodes(id, 2)
    await store.clusters.heartbeat(id, { more: { a: 1 }, workers: [], warnings: ['w'] }, T0 + 1)
    const before = await store.clusters.get(id)
    t.strictSame(await (await reopen()).clusters.get(id), before)
  })
}
