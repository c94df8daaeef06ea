import t, { type Test } from 'tap'
import type { Turn } from '../../../background/loop.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'
import type { Vitals } from '../../../services/cluster-registry/liveness.js'
import { createCommitter, type Committer } from '../../../services/job-lifecycle/commit.js'
import { createEvictionHold } from '../../../services/job-lifecycle/controllers/eviction-hold.js'
import { createSilenceWatch } from '../../../services/job-lifecycle/controllers/failover.js'
import type { JobChange, Store } from '../../../stores/store.js'
import { keptLog } from '../stores/mongo-store.js'
import { openFile } from '../stores/sqlite-store.js'
import { addressesOf, aJob, on, registered, saved } from '../stores/samples.js'

const POLICY = {
  scheduledMs: 120_000,
  startingMs: 600_000,
  stoppedMs: 120_000,
  maxAttempts: 5,
  moveMs: 300_000,
  rolloutMs: 600_000,
  addressHoldMs: 86_400_000
}
const turn = (fence: number): Turn => ({
  fence,
  signal: new AbortController().signal,
  async each (items, act) { for (const item of items) await act(item) }
})
const changeTo = (job: Job, fields: Partial<Job>): JobChange => ({ job: { ...job, ...fields }, events: [], commands: [] })

async function open (t: Test) {
  const { store } = await openFile(t)
  const log = keptLog()
  const { id: clusterId } = await registered(store)
  const running = async () => await saved(store, on(aJob(), clusterId, 'RUNNING'))
  return { store, log, clusterId, running, committer: createCommitter(store.jobs, POLICY, log as never) }
}

t.test('a change that the store refuses is logged, and the other jobs of the list are changed', async t => {
  const { store, log, committer, running } = await open(t)
  const [bad, other, good] = [await running(), await running(), await running()]
  const undecided = await committer.changeEach([bad.id, good.id], job =>
    changeTo(job, job.id === bad.id ? { service_ip_list: [{ IpType: 'RR', Address: addressesOf(other)[0]! }] } : { status_reason: 'changed' })
  )
  t.match(undecided, [{ code: 'address_taken' }])
  t.match(log.errors, [{ details: { job_id: bad.id } }])
  t.equal((await store.jobs.get(good.id))?.status_reason, 'changed')
})

t.test('a job that others keep changing is a conflict, once the others of the list are changed', async t => {
  const { store, committer, running } = await open(t)
  const [busy, good] = [await running(), await running()]
  await t.rejects(committer.changeEach([busy.id, good.id], async job => {
    if (job.id === busy.id) await saved(store, { ...job, status_reason: 'in between' })
    return changeTo(job, { status_reason: 'changed' })
  }), { code: 'conflict' })
  t.equal((await store.jobs.get(good.id))?.status_reason, 'changed')
})

t.test('what is no figure in a stored descriptor reserves nothing, and does not fail the write of others', async t => {
  const { store, clusterId } = await open(t)
  for (const cpu of ['lots', '0x', ' ', -1, null, [2]]) {
    const odd = aJob()
    odd.descriptor.requirements = { cpu, memory: 100 } as never
    const [outcome, other] = await store.jobs.commit([on(odd, clusterId), on(aJob(), clusterId)].map(job => changeTo(job, {})))
    t.match([outcome, other], [{ outcome: 'saved' }, { outcome: 'saved' }], JSON.stringify(cpu))
  }
  t.same((await store.jobs.reserved()).get(clusterId), { cpu: 6 * 0.5, memory: 12 * 100 })
  const inDigits = aJob()
  inDigits.descriptor.requirements = { cpu: '0x1', memory: '50' } as never
  await saved(store, on(inDigits, clusterId))
  t.same((await store.jobs.reserved()).get(clusterId), { cpu: 6 * 0.5 + 1, memory: 12 * 100 + 50 })
})

/** The watch of a leader that has watched for long, and what of a cluster is silent. */
function watchOf (store: Store, committer: Committer, log: unknown, silentMs: number) {
  const hold = createEvictionHold({
    share: 0.5, graceMs: 45_000, failoverMs: 120_000, patienceMs: 120_000, rate: 10
  })
  const liveness = {
    vitals: () => vitals,
    marked () {}
  }
  let vitals: Vitals[] = []
  const watch = createSilenceWatch({
    clusters: store.clusters, liveness, hold, committer, graceMs: 45_000, failoverMs: 120_000, log: log as never
  })
  return async (fence: number, listenedMs = 120_000) => {
    vitals = (await store.clusters.signs()).map(sign => ({ ...sign, silentMs }))
    await watch(turn(fence), listenedMs)
  }
}

t.test('a new leader decides once more on what lost clusters run, when they had time to report', async t => {
  const { store, log, clusterId, running, committer } = await open(t)
  await store.clusters.update(clusterId, { lost_at: new Date().toISOString(), evicted_at: new Date().toISOString() })
  const watch = watchOf(store, committer, log, 600_000)
  const statusOf = async (job: Job, of: ClusterId = clusterId) => (await store.jobs.get(job.id))!.instance_list.find(entry => entry.cluster_id === of)?.status

  const job = await running()
  await watch(1, 119_999)
  t.equal(await statusOf(job), 'RUNNING', 'not yet')
  await watch(1)
  t.equal(await statusOf(job), 'DEAD')
  const { revision } = (await store.jobs.get(job.id))!

  const another = await running()
  await watch(1)
  t.equal(await statusOf(another), 'RUNNING', 'once for each leadership')
  await watch(2)
  t.equal(await statusOf(another), 'DEAD')
  t.equal((await store.jobs.get(job.id))!.revision, revision, 'what has failed over already is not changed')
})

t.test('a lost cluster that reports again is no longer one that a new leader fails over', async t => {
  const { store, log, clusterId, running, committer } = await open(t)
  await store.clusters.update(clusterId, { lost_at: new Date().toISOString(), evicted_at: new Date().toISOString() })
  const job = await running()
  await watchOf(store, committer, log, 0)(1)
  t.match((await store.jobs.get(job.id))!.instance_list, [{ status: 'RUNNING', silent: false }])
  t.equal((await store.clusters.get(clusterId))?.lost_at, null)
})
