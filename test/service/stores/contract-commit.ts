import type { Test } from 'tap'
import { MAX_EVENTS_PER_JOB } from '../../../stores/store.js'
import type { Open } from './opened.js'
import { aCommand, aJob, addressesOf, anEvent, commit, on, registered, saved, undeployed } from './samples.js'

/** Promises of JobStore.commit, events and purge. Addresses and commands have files of their own. */
export function commitContract (t: Test, open: Open): void {
  t.test('earlier descriptors are kept beside the job once nothing needs them', async t => {
    const { store, reopen } = await open(t)
    const job = aJob({ generation: 4 })
    const [instance] = job.instance_list
    const old = (generation: number) => ({ ...job.descriptor, image: `nginx:${generation}` })
    const revision = (generation: number, isOld = false) => ({
      generation,
      descriptor: isOld ? null : old(generation),
      replaced_at: job.created_at,
      cause: 'user'
    })
    const rollout = {
      from_generation: 3,
      started_at: job.created_at,
      deadline_at: job.created_at,
      max_unavailable: 1,
      max_surge: 0,
      auto_rollback: true,
      rollback: false
    }
    const first = await saved(store, {
      ...job,
      rollout,
      revisions: [revision(3), revision(2), revision(1)],
      instance_list: [{ ...instance!, generation: 2 }]
    })
    const kept = [revision(3), revision(2), revision(1, true)]
    t.strictSame(first.revisions, kept, 'an update goes back to 3, an instance has 2')
    t.strictSame((await store.jobs.get(job.id))!.revisions, kept)
    t.strictSame(await store.jobs.oldDescriptors(job.id), new Map([[1, old(1)]]))

    const second = await saved(store, {
      ...first,
      rollout: null,
      instance_list: [{ ...first.instance_list[0]!, generation: 4 }]
    })
    t.strictSame(second.revisions, [revision(3, true), revision(2, true), revision(1, true)])
    const again = await reopen()
    t.strictSame((await again.jobs.list({}))[0]!.revisions, second.revisions)
    t.strictSame(
      await again.jobs.oldDescriptors(job.id),
      new Map([1, 2, 3].map(generation => [generation, old(generation)]))
    )

    const many = Array.from({ length: 10 }, (_, index) => revision(13 - index, 13 - index < 4))
    const third = await saved(again, { ...second, generation: 14, revisions: many })
    const left = [...(await again.jobs.oldDescriptors(job.id)).keys()]
    t.strictSame(left.filter(generation => generation > 4).sort((x, y) => x - y), [5, 6, 7, 8, 9, 10, 11, 12, 13])
    t.ok(left.length <= 10, 'no more than there can be revisions')
    t.strictSame(await again.jobs.oldDescriptors(aJob().id), new Map())
    t.ok(third)
  })

  t.test('a new job is stored as revision 1 and read back as it was given', async t => {
    const { store, reopen } = await open(t)
    const job = aJob({ descriptor: { ...aJob().descriptor, app_name: 'demo', x_unknown: { deep: [1, 'é', null] } } })
    const given = structuredClone(job)
    const stored = await saved(store, job)
    t.strictSame(job, given, 'what was handed in stays as it is')
    t.strictSame({ ...stored, revision: 0, service_ip_list: job.service_ip_list, instance_list: job.instance_list }, job)
    t.equal(stored.revision, 1)
    t.strictSame(await store.jobs.get(job.id), stored)
    t.strictSame(await (await reopen()).jobs.get(job.id), stored, 'after a restart too')
  })

  t.test('an empty commit has no outcomes', async t => {
    const { store } = await open(t)
    t.strictSame(await store.jobs.commit([]), [])
  })

  t.test('a change from an old revision is stale and changes nothing at all', async t => {
    const { store } = await open(t)
    const cluster = await registered(store)
    const first = await saved(store, aJob(), { events: [anEvent('one')] })
    const second = await saved(store, { ...first, status: 'FAILED' }, { events: [anEvent('two')] })
    const late = { ...first, status: 'RUNNING' as const, instance_list: [] }
    t.strictSame(await commit(store, late, { events: [anEvent('three')], commands: [aCommand(first, cluster.id)] }), { outcome: 'stale' })
    t.strictSame(await store.jobs.get(first.id), second)
    t.strictSame((await store.jobs.events(first.id, { limit: 9 })).map(({ message }) => message), ['one', 'two'])
    t.strictSame(await store.outbox.position(cluster.id), { acked: 0, last: 0 })
    t.equal((await store.jobs.byAddress(first.instance_list[0]!.instance_ip))?.id, first.id)
  })

  t.test('a job that is not there any more, or is there already, is stale', async t => {
    const { store } = await open(t)
    t.strictSame(await commit(store, aJob({ revision: 3 })), { outcome: 'stale' })
    const job = aJob()
    await saved(store, job)
    t.strictSame(await commit(store, job), { outcome: 'stale' })
    t.strictSame(await commit(store, { ...job, revision: 2 }), { outcome: 'stale' }, 'from a revision that is yet to come')
  })

  t.test('of many writers that read the same revision exactly one is saved', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob())
    const outcomes = await Promise.all(Array.from({ length: 30 }, (_, index) => commit(store, { ...job, status_reason: String(index) }, { events: [anEvent(String(index))] })))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'saved').length, 1)
    t.equal(outcomes.filter(({ outcome }) => outcome === 'stale').length, 29)
    t.equal((await store.jobs.get(job.id))!.revision, 2)
    t.equal((await store.jobs.events(job.id, { limit: 99 })).length, 1)
  })

  t.test('a commit of several changes answers in their order, and each stands on its own', async t => {
    const { store } = await open(t)
    const known = await saved(store, aJob())
    const [a, b] = [aJob(), aJob()]
    const changes = [a, known, aJob({ job_name: a.job_name }), { ...known, status: 'DEAD' as const }, b].map(job => ({ job, events: [], commands: [] }))
    const outcomes = await store.jobs.commit(changes)
    t.strictSame(outcomes.map(({ outcome }) => outcome), ['saved', 'saved', 'name_taken', 'stale', 'saved'])
    t.strictSame((await store.jobs.list({})).map(({ id }) => id), [known.id, a.id, b.id].sort())
  })

  t.test('a live job keeps its name until it is undeployed', async t => {
    const { store } = await open(t)
    // Placed, so that nothing else of what is looked up changes with the name.
    const first = await saved(store, on(aJob({ job_name: 'a.b.c.d' }), (await registered(store)).id))
    const other = aJob({ job_name: 'a.b.c.d' })
    t.strictSame(await commit(store, other, { events: [anEvent('lost')] }), { outcome: 'name_taken' })
    t.equal(await store.jobs.get(other.id), undefined)
    t.strictSame(await store.jobs.events(other.id, { limit: 9 }), [])
    const leaving = await saved(store, { ...first, desired_state: 'undeployed' })
    await saved(store, other)
    t.strictSame(await commit(store, { ...leaving, desired_state: 'running' }), { outcome: 'name_taken' }, 'coming back needs the name too')
    await saved(store, { ...leaving, status: 'DEAD' })
  })

  t.test('of many jobs of one name that are created at the same time exactly one is saved', async t => {
    const { store } = await open(t)
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => commit(store, aJob({ job_name: 'a.b.c.d' }))))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'saved').length, 1)
    t.equal(outcomes.filter(({ outcome }) => outcome === 'name_taken').length, 19)
  })

  t.test('the first thing wrong decides: stale, then the name, then the address', async t => {
    const { store } = await open(t)
    const holder = await saved(store, aJob())
    const request = [{ IpType: 'RR' as const, Address: holder.service_ip_list[0]!.Address }]
    const wrong = aJob({ job_name: holder.job_name, service_ip_list: request, revision: 1 })
    t.strictSame(await commit(store, wrong), { outcome: 'stale' })
    t.strictSame(await commit(store, { ...wrong, revision: 0 }), { outcome: 'name_taken' })
    t.strictSame(await commit(store, { ...wrong, revision: 0, job_name: 'free.b.c.d' }), { outcome: 'address_taken', address: request[0]!.Address })
  })

  t.test('events come back in order, after an id, as they were given', async t => {
    const { store, reopen } = await open(t)
    const full = { ...anEvent('full'), instance_number: 2, cluster_id: 'c', from: 'REQUESTED' as const, to: 'RUNNING' as const }
    const job = await saved(store, aJob(), { events: [anEvent('a'), full] })
    await saved(store, aJob(), { events: [anEvent('of another job')] })
    await saved(store, job, { events: [anEvent('c')] })
    const events = await store.jobs.events(job.id, { limit: 10 })
    t.strictSame(events.map(({ id, ...event }) => event), [anEvent('a'), full, anEvent('c')])
    const ids = events.map(({ id }) => id)
    t.strictSame(ids, [1, 2, 3], 'the first of a job is 1, whatever other jobs have')
    t.strictSame(await store.jobs.events(job.id, { after: ids[0]!, limit: 1 }), [events[1]])
    t.strictSame(await store.jobs.events(job.id, { after: ids[2]!, limit: 10 }), [])
    t.strictSame(await (await reopen()).jobs.events(job.id, { limit: 10 }), events)
  })

  t.test('only the newest 500 events of a job are kept', async t => {
    t.equal(MAX_EVENTS_PER_JOB, 500)
    const { store } = await open(t)
    const many = Array.from({ length: MAX_EVENTS_PER_JOB + 20 }, (_, index) => anEvent(String(index)))
    const job = await saved(store, aJob(), { events: many })
    const kept = await store.jobs.events(job.id, { limit: 9999 })
    t.equal(kept.length, MAX_EVENTS_PER_JOB)
    t.equal(kept[0]!.message, '20')
    await saved(store, job, { events: [anEvent('newest')] })
    const later = await store.jobs.events(job.id, { limit: 9999 })
    t.equal(later.length, MAX_EVENTS_PER_JOB)
    t.strictSame(later.slice(0, -1), kept.slice(1), 'those that stay keep their ids')
    t.equal(later.at(-1)!.message, 'newest')
  })

  t.test('a purge forgets jobs that were undeployed before, and nothing else', async t => {
    const { store } = await open(t)
    const end = async (updatedAt: string, fields = {}) => await saved(store, undeployed(await saved(store, aJob(), { events: [anEvent('e')] }), { updated_at: updatedAt, ...fields }))
    const old = await Promise.all(Array.from({ length: 450 }, () => end('2026-01-01T00:00:00.000Z')))
    const edge = await end('2026-01-02T00:00:00.000Z')
    const leaving = await end('2026-01-01T00:00:00.000Z', { status: 'DEAD' })
    const live = await saved(store, aJob({ updated_at: '2026-01-01T00:00:00.000Z' }))
    // Its end has given back its addresses; this one has kept one.
    const service_ip_list = [{ IpType: 'RR' as const, Address: '172.30.77.7' }]
    old.push(await end('2026-01-01T00:00:00.000Z', { service_ip_list }))
    t.match(await commit(store, aJob({ service_ip_list })), { outcome: 'address_taken' })
    t.equal(await store.jobs.purge('2026-01-02T00:00:00.000Z'), old.length)
    t.equal(await store.jobs.purge('2026-01-02T00:00:00.000Z'), 0)
    t.equal(await store.jobs.get(old[0]!.id), undefined)
    t.strictSame(await store.jobs.events(old[0]!.id, { limit: 9 }), [])
    t.equal(await store.jobs.byName(old[0]!.job_name), undefined)
    t.strictSame((await store.jobs.list({})).map(({ id }) => id), [edge.id, leaving.id, live.id].sort())
    t.equal((await store.jobs.events(edge.id, { limit: 9 })).length, 1)
    t.ok(addressesOf(live).every(address => address !== ''))
    t.match(await commit(store, aJob({ service_ip_list })), { outcome: 'saved' }, 'the address that it had kept is free')
  })
}
