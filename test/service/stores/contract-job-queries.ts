import { ObjectId } from 'bson'
import type { Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import { jobWithOid } from '../../../schemas/job-document.js'
import type { Status } from '../../../schemas/status.js'
import type { Open } from './opened.js'
import { aJob, anInstance, on, registered, saved, undeployed, documentsOf } from './samples.js'

const UNKNOWN = new ObjectId().toHexString()
const ids = (jobs: Job[]): string[] => jobs.map(({ id }) => id)

/** Promises of what JobStore looks up. */
export function jobQueryContract (t: Test, open: Open): void {
  t.test('an unknown job is undefined in every query', async t => {
    const { store } = await open(t)
    t.equal(await store.jobs.get(UNKNOWN), undefined)
    t.equal(await store.jobs.status(UNKNOWN), undefined)
    t.equal(await store.jobs.byName('a.b.c.d'), undefined)
    t.strictSame(await store.jobs.byUnderscoredName('a_b_c_d'), [])
    t.strictSame(await store.jobs.getMany([UNKNOWN]), [])
    t.strictSame(await store.jobs.events(UNKNOWN, { limit: 1 }), [])
    t.strictSame(await store.jobs.contradicted(UNKNOWN, new Map([[UNKNOWN, 'RUNNING']])), [])
    t.strictSame(await documentsOf(store), [])
  })

  t.test('many jobs are read in the requested order, without the unknown ones', async t => {
    const { store } = await open(t)
    const [a, b, c] = [await saved(store, aJob()), await saved(store, aJob()), await saved(store, aJob())]
    t.strictSame(await store.jobs.getMany([c.id, UNKNOWN, a.id]), [c, a])
    t.strictSame(await store.jobs.getMany([]), [])
    t.ok(b)
  })

  t.test('the status of a job is that of the last commit', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob())
    t.equal(await store.jobs.status(job.id), 'REQUESTED')
    await saved(store, { ...job, status: 'TargetClusterNoCapacity' })
    t.equal(await store.jobs.status(job.id), 'TargetClusterNoCapacity')
  })

  t.test('a name means the live job, else the one undeployed last', async t => {
    const { store } = await open(t)
    const at = (second: number): Partial<Job> => ({ job_name: 'a.b.c.d', created_at: `2026-01-31T12:00:0${second}.000Z` })
    const first = await saved(store, undeployed(await saved(store, aJob(at(1)))))
    const second = await saved(store, undeployed(await saved(store, aJob(at(2)))))
    t.strictSame(await store.jobs.byName('a.b.c.d'), second)
    const live = await saved(store, aJob(at(3)))
    t.strictSame(await store.jobs.byName('a.b.c.d'), live)
    t.equal(await store.jobs.byName('a_b_c_d'), undefined, 'the exact name only')
    await saved(store, undeployed(live))
    t.equal((await store.jobs.byName('a.b.c.d'))!.id, live.id)
    t.not(first.id, second.id)
  })

  t.test('an underscored name gives the jobs it can mean, live ones first, at most two', async t => {
    const { store } = await open(t)
    const gone = await saved(store, undeployed(await saved(store, aJob({ job_name: 'a.b.c.d' }))))
    t.strictSame(await store.jobs.byUnderscoredName('a_b_c_d'), [gone])
    const live = await saved(store, aJob({ job_name: 'a.b.c.d' }))
    t.strictSame(ids(await store.jobs.byUnderscoredName('a_b_c_d')), [live.id, gone.id])
    const other = await saved(store, aJob({ job_name: 'a_b.c.d' }))
    t.strictSame(ids(await store.jobs.byUnderscoredName('a_b_c_d')).sort(), [live.id, other.id].sort())
    t.strictSame(await store.jobs.byUnderscoredName('a.b.c.d'), [], 'a dot is no underscore')
  })

  t.test('lists come in order of id, page by page, with every filter', async t => {
    const { store } = await open(t)
    const jobs = await Promise.all(['app1.b.c.d', 'app1.b.e.d', 'app2.b.c.d', 'app2.b.e.d'].map(name => saved(store, aJob({ job_name: name }))))
    const [a, b, c, d] = jobs as [Job, Job, Job, Job]
    await saved(store, { ...b, status: 'RUNNING' })
    await saved(store, undeployed(d))
    const all = ids(jobs).sort()
    t.strictSame(ids(await store.jobs.list({})), all)
    t.strictSame(ids(await store.jobs.list({ limit: 2 })), all.slice(0, 2))
    t.strictSame(ids(await store.jobs.list({ after: all[1]!, limit: 2 })), all.slice(2))
    t.strictSame(ids(await store.jobs.list({ undeployed: false })), [a.id, b.id, c.id].sort())
    t.strictSame(ids(await store.jobs.list({ undeployed: true })), all)
    t.strictSame(ids(await store.jobs.list({ status: ['RUNNING'] })), [b.id])
    t.strictSame(ids(await store.jobs.list({ status: ['UNDEPLOYED'] })), [d.id])
    t.strictSame(ids(await store.jobs.list({ app_name: 'app1' })), [a.id, b.id].sort())
    t.strictSame(ids(await store.jobs.list({ app_name: 'app1', status: ['REQUESTED'] })), [a.id])
    t.strictSame(ids(await store.jobs.list({ job_name: 'app2.b.c.d' })), [c.id])
    t.strictSame(ids(await store.jobs.list({ job_name: 'app2.b.e.d', undeployed: false })), [])
  })

  t.test('jobs of a cluster are those placed on it and those it has yet to remove', async t => {
    const { store, reopen } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    const placed = await saved(store, on(await saved(store, aJob({ instances: 2 })), here.id))
    const elsewhere = await saved(store, on(await saved(store, aJob()), there.id))
    const [instance] = elsewhere.instance_list
    const retiring = [
      {
        command_id: 'x',
        cluster_id: here.id,
        instances: [{ instance_number: 0, instance_ip: instance!.instance_ip }],
        error: null,
        since: new Date().toISOString(),
        released: false,
        original: false,
        told: null
      }
    ]
    const leaving = await saved(store, { ...elsewhere, retiring })
    await saved(store, aJob())
    const again = await reopen()
    t.strictSame(ids(await again.jobs.list({ cluster_id: here.id })), [placed.id, leaving.id].sort())
    t.strictSame(ids(await again.jobs.list({ cluster_id: there.id })), [leaving.id])
    t.strictSame(ids(await again.jobs.list({ cluster_id: here.id, status: ['RUNNING'] })), [])
    t.strictSame(ids(await again.jobs.list({ cluster_id: '' })), [], 'instances without a cluster are on none')
    await saved(again, { ...leaving, retiring: [] })
    t.strictSame(ids(await again.jobs.list({ cluster_id: here.id })), [placed.id])
    await saved(again, { ...placed, instance_list: placed.instance_list.map(instance => ({ ...instance, cluster_id: '' })) })
    t.strictSame(ids(await again.jobs.list({ cluster_id: here.id })), [])
  })

  t.test('a cluster contradicts the instances placed on it of which it reports another status', async t => {
    const { store } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    const job = await saved(store, aJob({ instances: 3 }))
    const [zero, one, two] = job.instance_list as [Job['instance_list'][0], Job['instance_list'][0], Job['instance_list'][0]]
    const placed = await saved(store, {
      ...job,
      instance_list: [{ ...zero, cluster_id: here.id, status: 'RUNNING' }, { ...one, cluster_id: there.id, status: 'FAILED' }, two]
    })
    const contradicted = async (clusterId: string, status: Status) =>
      (await store.jobs.contradicted(clusterId, new Map([[job.id, status], [UNKNOWN, 'DEAD']]))).toSorted((a, b) => a.instance_number - b.instance_number)
    t.strictSame(await contradicted(here.id, 'RUNNING'), [], 'nothing new')
    t.strictSame(await contradicted(here.id, 'DEAD'), [{ job_id: job.id, instance_number: 0, status: 'RUNNING' }])
    t.strictSame(await contradicted(there.id, 'RUNNING'), [{ job_id: job.id, instance_number: 1, status: 'FAILED' }])
    t.strictSame(await contradicted(UNKNOWN, 'RUNNING'), [], 'it has none')
    t.strictSame(await store.jobs.contradicted(here.id, new Map()), [], 'it reports nothing')
    const moved = await saved(store, { ...placed, instance_list: placed.instance_list.slice(1).map(instance => ({ ...instance, cluster_id: there.id, status: 'DEAD' as const })) })
    t.strictSame(await contradicted(here.id, 'DEAD'), [])
    t.strictSame(await contradicted(there.id, 'RUNNING'), [
      { job_id: job.id, instance_number: 1, status: 'DEAD' }, { job_id: job.id, instance_number: 2, status: 'DEAD' }
    ])
    await saved(store, undeployed(moved))
    t.strictSame(await contradicted(there.id, 'RUNNING'), [])
  })

  t.test('the documents of all jobs that are not undeployed are those of the contract, in order of id', async t => {
    const { store, reopen } = await open(t)
    const jobs = await Promise.all(Array.from({ length: 3 }, () => saved(store, aJob({ instances: 2 }))))
    const gone = await saved(store, aJob())
    await saved(store, undeployed(gone))
    const { id } = await registered(store)
    const changed = [await saved(store, on(jobs[0]!, id)), ...jobs.slice(1)].sort((a, b) => a.id < b.id ? -1 : 1)
    const documents = async (from: typeof store) => (await documentsOf(from)).map(text => JSON.parse(text) as unknown)
    t.strictSame(await documents(store), changed.map(jobWithOid))
    t.strictSame(await documents(await reopen()), changed.map(jobWithOid))
  })

  t.test('unplaced jobs are those that want to run and have an instance without a cluster', async t => {
    const { store, reopen } = await open(t)
    const { id: clusterId } = await registered(store)
    const jobs = await Promise.all(Array.from({ length: 4 }, () => saved(store, aJob({ instances: 2 }))))
    const all = ids(jobs).sort()
    t.strictSame(ids(await store.jobs.unplaced({ limit: 9 })), all)
    t.strictSame(ids(await store.jobs.unplaced({ after: all[0]!, limit: 2 })), all.slice(1, 3))
    const [a, b, c, d] = jobs as [Job, Job, Job, Job]
    const placed = await saved(store, on(a, clusterId))
    await saved(store, { ...b, instance_list: [on(b, clusterId).instance_list[0]!, b.instance_list[1]!] })
    await saved(store, { ...c, desired_state: 'undeployed' })
    t.strictSame(ids(await store.jobs.unplaced({ limit: 9 })), [b.id, d.id].sort())
    await saved(store, { ...placed, instance_list: [...placed.instance_list, anInstance(2)] })
    const again = await reopen()
    t.strictSame(ids(await again.jobs.unplaced({ limit: 9 })), [a.id, b.id, d.id].sort())
  })

  t.test('reserved is what placed instances need until they run', async t => {
    const { store } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    t.strictSame(await store.jobs.reserved(), new Map())
    const job = await saved(store, on(await saved(store, aJob({ instances: 3 })), here.id))
    const free = aJob()
    delete free.descriptor.requirements
    await saved(store, on(await saved(store, free), there.id, 'NODE_SCHEDULED'))
    await saved(store, aJob())
    t.strictSame(await store.jobs.reserved(), new Map([[here.id, { cpu: 1.5, memory: 300 }], [there.id, { cpu: 0, memory: 0 }]]))
    const [first, second, third] = job.instance_list
    const later = await saved(store, { ...job, instance_list: [{ ...first!, status: 'RUNNING' }, { ...second!, status: 'FAILED' }, { ...third!, cluster_id: there.id, status: 'DEPLOYED' }] })
    t.strictSame(await store.jobs.reserved(), new Map([[there.id, { cpu: 0.5, memory: 100 }]]))
    let changed = later
    for (const requirements of [{ cpu: 2, memory: 7 }, { cpu: 3, memory: 7 }, { cpu: 3, memory: 8 }]) {
      changed = await saved(store, { ...changed, descriptor: { ...changed.descriptor, requirements } })
      t.strictSame((await store.jobs.reserved()).get(there.id), requirements, 'a new descriptor asks for something else')
    }
  })

  t.test('due are the jobs whose time has come, the longest due first', async t => {
    const { store, reopen } = await open(t)
    const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, second)).toISOString()
    const [early, late] = [await saved(store, aJob({ due_at: at(1) })), await saved(store, aJob({ due_at: at(2) }))]
    await saved(store, aJob())
    t.strictSame(ids(await store.jobs.due({ before: at(0), limit: 9 })), [])
    t.strictSame(ids(await store.jobs.due({ before: at(1), limit: 9 })), [early.id])
    t.strictSame(ids(await store.jobs.due({ before: at(3), limit: 9 })), [early.id, late.id])
    t.strictSame(ids(await store.jobs.due({ before: at(3), limit: 1 })), [early.id])
    t.strictSame(ids(await store.jobs.due({ before: at(3), after: early, limit: 9 })), [late.id], 'page by page')
    t.strictSame(ids(await store.jobs.due({ before: at(3), after: late, limit: 9 })), [])
    const twin = await saved(store, aJob({ due_at: at(2) }))
    const [first, second] = [late, twin].sort((a, b) => a.id < b.id ? -1 : 1) as [typeof late, typeof late]
    t.strictSame(ids(await store.jobs.due({ before: at(3), after: first, limit: 9 })), [second.id], 'of one moment, in order of id')
    await saved(store, { ...twin, due_at: null })
    await saved(store, { ...early, due_at: at(9) })
    await saved(store, { ...late, due_at: null })
    t.strictSame(ids(await (await reopen()).jobs.due({ before: at(8), limit: 9 })), [])
  })

  t.test('instances of a cluster are read without their jobs, on both clusters while one moves', async t => {
    const { store } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    const job = await saved(store, on(await saved(store, aJob({ instances: 2 })), here.id, 'RUNNING'))
    const moving = anInstance(1, { cluster_id: there.id, move: { from: here.id, why: 'asked', since: job.updated_at }, instance_ip: job.instance_list[1]!.instance_ip, status: 'CLUSTER_SCHEDULED' })
    const during = await saved(store, { ...job, instance_list: [...job.instance_list, moving] })
    t.strictSame(await store.jobs.instancesOn(here.id), [0, 1].map(instance_number => ({ job_id: job.id, instance_number, status: 'RUNNING' })))
    t.strictSame(await store.jobs.instancesOn(there.id), [{ job_id: job.id, instance_number: 1, status: 'CLUSTER_SCHEDULED' }])
    await saved(store, { ...during, instance_list: [job.instance_list[0]!, moving] })
    t.strictSame(await store.jobs.instancesOn(here.id), [{ job_id: job.id, instance_number: 0, status: 'RUNNING' }])
    t.strictSame(await store.jobs.instancesOn('ffffffffffffffffffffffff'), [])
  })

  t.test('an instance that awaits the confirmation of a removal is not unplaced yet', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob())
    const [instance] = job.instance_list
    const waiting = await saved(store, { ...job, instance_list: [{ ...instance!, awaits: 'command-1' }] })
    t.strictSame(ids(await store.jobs.unplaced({ limit: 9 })), [])
    await saved(store, { ...waiting, instance_list: [instance!] })
    t.strictSame(ids(await store.jobs.unplaced({ limit: 9 })), [job.id])
  })

  t.test('jobs of an application are found by its name and namespace', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob({ job_name: 'shop.prod.web.v1' }))
    await saved(store, aJob({ job_name: 'shop.test.web.v1' }))
    t.strictSame(ids(await store.jobs.list({ app_name: 'shop', app_ns: 'prod' })), [job.id])
    t.equal((await store.jobs.list({ app_name: 'shop' })).length, 2)
  })

  t.test('an undeployed job stays as long as a cluster is known that never forgets it', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const removals = [{ cluster_id: id, at: new Date().toISOString(), told: 'DEPLOYED' as const }]
    const [kept, other] = [await saved(store, undeployed(aJob(), { removals })), await saved(store, undeployed(aJob()))]
    const later = new Date(Date.now() + 3_600_000).toISOString()
    t.equal(await store.jobs.purge(later), 1)
    t.equal(await store.jobs.get(other.id), undefined)
    t.ok(await store.jobs.get(kept.id), 'its name keeps its id')
    await store.clusters.remove(id)
    t.equal(await store.jobs.purge(later), 1)
    t.equal(await store.jobs.get(kept.id), undefined)
  })

  t.test('of more jobs than one step of a purge takes, none that is kept hides the others', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const removals = [{ cluster_id: id, at: new Date().toISOString(), told: null }]
    await Promise.all(
      Array.from({ length: 450 }, (_, n) => saved(store, undeployed(aJob(), n < 225 ? { removals } : {})))
    )
    t.equal(await store.jobs.purge(new Date(Date.now() + 3_600_000).toISOString()), 225)
    t.equal((await store.jobs.list({})).length, 225)
  })

  t.test('host ports are counted per cluster, for instances that are placed', async t => {
    const { store, reopen } = await open(t)
    const [here, there] = await Promise.all([registered(store), registered(store)])
    const withPort = (port: unknown, ...clusters: string[]) => {
      const job = aJob()
      const [instance] = job.instance_list
      job.descriptor.port = port as number
      job.replicas = clusters.length
      job.instance_list = clusters.map((cluster_id, instance_number) => ({ ...instance!, instance_number, cluster_id }))
      return saved(store, job)
    }
    const both = await withPort('8080:80', here!.id, there!.id, '')
    await withPort('08080:81', here!.id)
    await withPort('9090:80', here!.id)
    await withPort('6080:80/tcp;7000:70/udp', there!.id)
    for (const port of [80, '80', '', null]) await withPort(port, here!.id)
    const sorted = async (of = store) =>
      (await of.jobs.hostPorts())
        .map(use => `${use.cluster_id === here!.id ? 'here' : 'there'} ${use.host_port} ${use.instances}`)
        .sort()
    t.same(await sorted(), ['here 8080/tcp 2', 'here 9090/tcp 1', 'there 6080/tcp;7000/udp 1', 'there 8080/tcp 1'])
    await saved(store, { ...both, descriptor: { ...both.descriptor, port: 80 } })
    t.same(await sorted(await reopen()), ['here 8080/tcp 1', 'here 9090/tcp 1', 'there 6080/tcp;7000/udp 1'])
  })
}
