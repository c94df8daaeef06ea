import t, { type Test } from 'tap'
import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import { createCommitter } from '../../../services/job-lifecycle/commit.js'
import { expireDue } from '../../../services/job-lifecycle/controllers/deadlines.js'
import { createEmbeddedScheduler } from '../../../services/scheduler-client/embedded/scheduler.js'
import { keptLog } from '../stores/mongo-store.js'
import { aJob, registered, saved } from '../stores/samples.js'
import { openFile } from '../stores/sqlite-store.js'

const POLICY = {
  scheduledMs: 1000,
  startingMs: 1000,
  stoppedMs: 1000,
  maxAttempts: 5,
  moveMs: 1000,
  rolloutMs: 1000,
  addressHoldMs: 86_400_000
}

/** Three instances on one cluster, the last of which failed, and another cluster with so many cores. */
async function start (t: Test, coresElsewhere: number) {
  const { store } = await openFile(t)
  const log = keptLog() as never
  const [here, there] = [await registered(store), await registered(store)]
  const figures = { memory_in_mb: 8000, technology: ['docker'], warnings: [] }
  await store.clusters.heartbeat(here.id, { total_cpu_cores: 0, ...figures }, Date.now())
  await store.clusters.heartbeat(there.id, { total_cpu_cores: coresElsewhere, ...figures }, Date.now())
  const fresh = aJob()
  const [instance] = fresh.instance_list
  const since = new Date(Date.now() - 60_000).toISOString()
  fresh.descriptor.requirements = { cpu: 1, memory: 100 }
  const job = await saved(store, {
    ...fresh,
    replicas: 3,
    due_at: since,
    instance_list: (['RUNNING', 'RUNNING', 'FAILED'] as const).map((status, instance_number) => ({
      ...instance!,
      instance_number,
      cluster_id: here.id,
      status,
      status_since: since,
      told: status,
      told_apart: true
    }))
  })
  const scheduler = createEmbeddedScheduler({ store, liveness: createLiveness(45_000), graceMs: 45_000, log })
  const committer = createCommitter(store.jobs, POLICY, log)
  const { jobs, outbox, clusters } = store
  await expireDue({ jobs, outbox, clusters, committer, policy: POLICY, scheduler, hold: { isHeld: false } }, {
    fence: 1,
    signal: new AbortController().signal,
    async each (items, act) {
      for (const item of items) await act(item)
    }
  })
  const { instance_list: list } = (await store.jobs.get(job.id))!
  return list.map(entry => [entry.instance_number, entry.cluster_id === here.id ? entry.status : 'elsewhere'])
}

t.test('what failed leaves for the one place that there is: those that run ask for none', async t => {
  t.same(await start(t, 1), [[0, 'RUNNING'], [1, 'RUNNING'], [2, 'elsewhere']])
})

t.test('without a place it stays, and is asked for', async t => {
  t.same(await start(t, 0.5), [[0, 'RUNNING'], [1, 'RUNNING'], [2, 'FAILED']])
})
