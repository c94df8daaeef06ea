import fastify from 'fastify'
import type { Test } from 'tap'
import type { Turn } from '../../../background/loop.js'
import type { Job } from '../../../schemas/job.js'
import { NEWEST_VERSION, storedJob } from '../../../schemas/job-versions.js'
import { createCommitter } from '../../../services/job-lifecycle/commit.js'
import { expireDue } from '../../../services/job-lifecycle/controllers/deadlines.js'
import { placeUnplaced } from '../../../services/job-lifecycle/controllers/placement.js'
import type { Open } from './opened.js'
import { aCommand, aJob, anEvent, anInstance, on, registered, saved, undeployed, documentsOf } from './samples.js'

const DUE = '2026-01-31T12:00:00.000Z'
const UNREADABLE = { code: 'job_unreadable', status: 500, hint: /Restore/ }

/** Texts that are no jobs, and why not. */
const damages: Array<{ text: (job: Job) => string, why: RegExp }> = [
  { text: job => storedJob(job).slice(0, -1), why: /not JSON/ },
  { text: () => '[]', why: /not an object/ },
  { text: () => '{"a":1}', why: /not a job: \/\w+ / },
  { text: job => JSON.stringify({ ...job, instance_list: [{ ...job.instance_list[0], status: 'SOMEHOW' }] }), why: /not a job: \/instance_list\/0\/status / },
  { text: job => JSON.stringify({ ...job, document_version: NEWEST_VERSION + 1 }), why: /newer System Manager/ },
  { text: job => JSON.stringify({ ...job, document_version: 'two' }), why: /no version/ },
  { text: job => storedJob({ ...job, id: 'f'.repeat(24) }), why: /document of another job/ },
  { text: job => storedJob({ ...job, revision: job.revision - 1 }), why: /has revision \d, but the job has revision \d/ }
]

const ids = (items: Array<{ id: string }>): string[] => items.map(({ id }) => id)

/** All pages of two. */
async function paged<T extends { id: string }> (read: (after: T | undefined) => Promise<T[]>): Promise<string[]> {
  const all: T[] = []
  for (let page = await read(undefined); page.length > 0; page = page.length < 2 ? [] : await read(page.at(-1))) all.push(...page)
  return ids(all)
}

const aTurn = (): Turn => ({
  fence: 0,
  signal: new AbortController().signal,
  async each (items, act) { for (const item of items) await act(item) }
})

/** Promises about documents that cannot be understood. */
export function unreadableContract (t: Test, open: Open): void {
  t.test('a job that cannot be understood is left out of lists and pages, and a read of it shows why', async t => {
    const opened = await open(t)
    const { id: clusterId } = await registered(opened.store)
    const fields = () => ({ due_at: DUE, job_name: `a.b.c${Math.random()}.d` })
    // More in a row than a page has.
    const jobs = await Promise.all(Array.from({ length: 24 }, () => saved(opened.store, aJob(fields()))))
    jobs.sort((a, b) => a.id < b.id ? -1 : 1)
    const broken = jobs.filter((_, index) => index < 5 || index % 3 === 0 || index > 20)
    const good = jobs.filter(job => !broken.includes(job))
    const placed = await saved(opened.store, on(broken[0]!, clusterId))
    const store = await opened.tampered(broken.map((job, index) => ({ job: job.id, text: damages[index % damages.length]!.text(job) })))

    t.strictSame(ids(await store.jobs.list({})), ids(good))
    t.strictSame(ids(await store.jobs.list({ limit: 3 })), ids(good.slice(0, 3)))
    t.strictSame(await paged<Job>(after => store.jobs.list({ limit: 2, ...(after && { after: after.id }) })), ids(good))
    t.strictSame(await paged<Job>(after => store.jobs.unplaced({ limit: 2, ...(after && { after: after.id }) })), ids(good))
    t.strictSame(await paged<Job>(after => store.jobs.due({ before: DUE, limit: 2, ...(after && { after }) })), ids(good))
    t.strictSame(ids(await store.jobs.getMany(ids(jobs))), ids(good))
    t.strictSame(await store.jobs.list({ job_name: broken[0]!.job_name }), [])
    const documents = (await documentsOf(store)).map(text => (JSON.parse(text) as { _id: { $oid: string } })._id.$oid)
    for (const { id } of good) t.ok(documents.includes(id))
    t.strictSame(await store.jobs.instancesOn(clusterId), [{ job_id: placed.id, instance_number: 0, status: 'CLUSTER_SCHEDULED' }], 'what is read without documents is there')

    for (const [index, job] of broken.entries()) {
      const { why } = damages[index % damages.length]!
      await t.rejects(store.jobs.get(job.id), { ...UNREADABLE, message: why })
      await t.rejects(store.jobs.byName(job.job_name), { ...UNREADABLE, message: why })
      await t.rejects(store.jobs.byUnderscoredName(job.job_name.replaceAll('.', '_')), UNREADABLE)
      await t.rejects(store.jobs.byAddress(job.service_ip_list[0]!.Address), UNREADABLE)
      t.equal(await store.jobs.status(job.id), job.status)
      t.strictSame(await store.jobs.events(job.id, { limit: 9 }), [])
    }
    const named = opened.errors.map(({ details }) => (details as { job_id: string }).job_id)
    t.strictSame(named.sort(), ids(broken), 'each is logged once, however often it is read')
  })

  t.test('a name that only an undeployed job has that cannot be understood is free, and means nothing else', async t => {
    const { store, tampered } = await open(t)
    const at = (second: number) => ({ job_name: 'a.b.c.d', created_at: `2026-01-31T12:00:0${second}.000Z` })
    const older = await saved(store, undeployed(await saved(store, aJob(at(1)))))
    const newer = await saved(store, undeployed(await saved(store, aJob(at(2)))))
    const once = await tampered([{ job: newer.id, text: '{' }])
    t.strictSame(await once.jobs.byName('a.b.c.d'), older)
    t.strictSame(await once.jobs.byUnderscoredName('a_b_c_d'), [older])
    const alone = await saved(once, undeployed(await saved(once, aJob({ job_name: 'alone.b.c.d' }))))
    const again = await tampered([older, alone].map(({ id }) => ({ job: id, text: '{' })))
    await t.rejects(again.jobs.byUnderscoredName('alone_b_c_d'), UNREADABLE)
    t.equal(await again.jobs.byName('a.b.c.d'), undefined, 'it can be deployed anew')
    await t.rejects(again.jobs.byUnderscoredName('a_b_c_d'), UNREADABLE)
    const live = await saved(again, aJob(at(3)))
    t.strictSame(await again.jobs.byName('a.b.c.d'), live)
    t.strictSame(await again.jobs.byUnderscoredName('a_b_c_d'), [live])
  })

  t.test('a live job that cannot be understood is not passed over for an older one of its name', async t => {
    const { store, tampered } = await open(t)
    await saved(store, undeployed(await saved(store, aJob({ job_name: 'a.b.c.d' }))))
    const live = await saved(store, aJob({ job_name: 'a.b.c.d' }))
    const { jobs } = await tampered([{ job: live.id, text: '{' }])
    await t.rejects(jobs.byName('a.b.c.d'), UNREADABLE)
    await t.rejects(jobs.byUnderscoredName('a_b_c_d'), UNREADABLE)
  })

  t.test('deadlines and placement go on without the jobs that cannot be understood', async t => {
    const opened = await open(t)
    const { id: clusterId } = await registered(opened.store)
    const since = new Date(Date.now() - 60_000).toISOString()
    const stuck = await Promise.all(Array.from({ length: 6 }, async () => {
      const job = await saved(opened.store, aJob())
      const { instance_list: [instance] } = job
      return await saved(opened.store, { ...job, due_at: DUE, status: 'DEPLOYED', instance_list: [{ ...instance!, cluster_id: clusterId, status: 'DEPLOYED', status_since: since }] })
    }))
    const waiting = await Promise.all(Array.from({ length: 6 }, () => saved(opened.store, aJob())))
    const [stuckBroken, waitingBroken] = [stuck.slice(0, 3), waiting.slice(0, 3)]
    const store = await opened.tampered([...stuckBroken, ...waitingBroken].map(({ id }) => ({ job: id, text: '{' })))
    const policy = {
      scheduledMs: 1000,
      startingMs: 1000,
      stoppedMs: 1000,
      maxAttempts: 3,
      moveMs: 1000,
      rolloutMs: 1000,
      addressHoldMs: 86_400_000
    }
    const committer = createCommitter(store.jobs, policy, fastify().log)

    await expireDue(
      {
        jobs: store.jobs,
        outbox: store.outbox,
        clusters: store.clusters,
        committer,
        policy,
        hold: { isHeld: false },
        scheduler: { place: async () => [] }
      },
      aTurn()
    )
    for (const { id, revision } of stuck.slice(3)) t.ok((await store.jobs.get(id))!.revision > revision, 'a deadline was seen to')

    const asked: string[] = []
    const scheduler = {
      async place (jobs: Job[]) {
        asked.push(...ids(jobs))
        return []
      }
    }
    await placeUnplaced({ jobs: store.jobs, scheduler, clusters: store.clusters, committer }, aTurn())
    t.strictSame(waiting.slice(3).filter(({ id }) => !asked.includes(id)), [], 'all that can be understood are asked about')
    t.notOk(asked.some(id => ids([...stuckBroken, ...waitingBroken]).includes(id)))

    t.strictSame(await committer.changeOn(clusterId, () => undefined), [])
    await t.rejects(committer.change(stuckBroken[0]!.id, () => undefined), UNREADABLE)
    t.strictSame(await committer.changeEach([stuckBroken[0]!.id], () => undefined), [], 'of many, it is passed over')
  })

  t.test('a cluster that cannot be understood is left out of lists and pages, and a read of it shows why', async t => {
    const opened = await open(t)
    const clusters = (await Promise.all(Array.from({ length: 12 }, () => registered(opened.store)))).sort((a, b) => a.id < b.id ? -1 : 1)
    const broken = clusters.filter((_, index) => index < 3 || index % 3 === 0)
    const good = clusters.filter(cluster => !broken.includes(cluster))
    const store = await opened.tampered(broken.map(({ id }) => ({ cluster: id, text: 'secret' })))
    const now = Date.now()
    t.strictSame(ids(await store.clusters.list({})), ids(good))
    t.strictSame(await paged(after => store.clusters.list({ limit: 2, ...(after && { after: after.id }) })), ids(good))
    t.strictSame(ids(await store.clusters.at('hpi')), ids(good))
    t.strictSame(ids(await store.clusters.getMany(ids(clusters))), ids(good))
    t.strictSame((await store.clusters.signs()).map(({ id }) => id).sort(), ids(clusters))
    t.equal(
      (await store.clusters.placementViews()).filter(({ id }) => !broken.some(each => each.id === id)).length,
      (await store.clusters.list({})).length
    )
    for (const { id } of broken) await t.rejects(store.clusters.get(id), { code: 'cluster_unreadable', status: 500, message: /understood: (?!.*secret)/ })
    t.strictSame(store.unreadable().sort(), ids(broken).map(id => `cluster ${id}`))
    t.strictSame(opened.errors.map(({ details }) => (details as { cluster_id: string }).cluster_id).sort(), ids(broken))
    await store.clusters.heartbeat(broken[0]!.id, { warnings: [] }, now)
    t.equal((await store.clusters.get(broken[0]!.id))!.id, broken[0]!.id, 'what a heartbeat brings anew is mended by it')
  })

  t.test('an event or an earlier descriptor that cannot be understood affects itself only', async t => {
    const opened = await open(t)
    const first = aJob({ generation: 5, instance_list: [anInstance(0, { generation: 5 })] })
    const replaced = (generation: number) => ({
      generation,
      descriptor: { ...first.descriptor, image: `nginx:${generation}` },
      replaced_at: first.created_at,
      cause: 'user'
    })
    const events = ['a', 'b', 'c', 'd'].map(message => anEvent(message))
    const job = await saved(opened.store, { ...first, revisions: [4, 3, 2, 1].map(replaced) }, { events })
    const store = await opened.tampered([
      { event: [job.id, 1], text: '{' },
      { event: [job.id, 3], text: '7' },
      { earlier: [job.id, 1], text: '{' },
      { earlier: [job.id, 2], text: '{}' },
      { earlier: [job.id, 3], text: 'null' }
    ])
    const read = async (after: number, limit: number) =>
      (await store.jobs.events(job.id, { after, limit })).map(({ message }) => message)
    t.strictSame(await read(0, 10), ['b', 'd'])
    t.strictSame(await read(0, 1), ['b'])
    t.strictSame(await read(2, 1), ['d'], 'a page is full while there are more')
    t.strictSame([...(await store.jobs.oldDescriptors(job.id)).keys()], [4])
    t.strictSame((await store.jobs.get(job.id))!.id, job.id)
    t.strictSame(store.unreadable().sort(), [`earlier descriptor ${job.id}`, `event ${job.id}`])
    for (const { details } of opened.errors) t.match(details, { job_id: job.id })
    t.equal(opened.errors.length, 5, 'each once')
  })

  t.test('a command that cannot be understood is left out, and settled with those after it', async t => {
    const opened = await open(t)
    const { id } = await registered(opened.store)
    const job = aJob()
    await saved(opened.store, job, { commands: Array.from({ length: 8 }, () => aCommand(job, id)) })
    const store = await opened.tampered([1, 2, 3, 6].map(seq => ({ command: [id, seq], text: seq % 2 ? '{' : '5' })))
    const seqs = async (after: number, limit: number) => (await store.outbox.pending(id, { after, limit })).map(({ seq }) => seq)
    t.strictSame(await seqs(0, 2), [4, 5])
    t.strictSame(await seqs(5, 2), [7, 8])
    t.strictSame(await seqs(0, 9), [4, 5, 7, 8])
    t.strictSame(opened.errors.map(({ details }) => details), [1, 2, 3, 6].map(seq => ({ err: opened.errors.map(({ details }) => details as { revision: number, err: Error }).find(({ revision }) => revision === seq)!.err, cluster_id: id, revision: seq })))
    await store.outbox.ack(id, 5)
    t.strictSame(await seqs(0, 9), [7, 8])
    t.equal(await store.outbox.backlog(), 3)
    await store.outbox.ack(id, 8)
    t.equal(await store.outbox.backlog(), 0)
  })
}
