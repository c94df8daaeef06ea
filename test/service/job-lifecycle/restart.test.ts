import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY, type RawCluster } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

const IMPATIENT = { CLUSTER_GRACE_S: 1, FAILOVER_AFTER_S: 1, HEARTBEAT_INTERVAL_S: 1, RECONCILE_S: 3600 }

/** A cluster that takes each command and reports what it was told to run, until it is let go. */
function keepAlive (t: Test, cluster: RawCluster, jobs: string[] = []): () => void {
  let acked = 0
  const beats = setInterval(() => {
    for (const { data } of cluster.frames.filter(({ event, data }) => event === 'command' && data.seq > acked)) {
      cluster.send('ack', { seq: data.seq })
      acked = data.seq
      if (data.kind === 'deploy' && !jobs.includes(data.job_id)) jobs.push(data.job_id)
    }
    cluster.send('information', { ...ROOMY, jobs: jobs.map(system_job_id => ({ system_job_id, status: 'RUNNING' })) })
  }, 100)
  const stop = () => {
    clearInterval(beats)
    cluster.close()
  }
  t.teardown(stop)
  return stop
}

const jobOf = (server: TestServer, id: string) => (): Promise<Job> => server.json(`/api/v1/jobs/${id}`)
const clusterOf = (server: TestServer, id: string) => () => server.json(`/api/v1/clusters/${id}`)

t.test('a cluster that was lost before a restart and returns at once is taken back, and is lost again when it dies again', async t => {
  // Not t.testdir(), which each server would empty.
  const DATA_DIR = mkdtempSync(join(tmpdir(), 'restart-'))
  t.teardown(() => rmSync(DATA_DIR, { recursive: true }))
  const settings = { ...IMPATIENT, DATA_DIR }
  const before = await startServer(t, settings)
  const hpi = await connectCluster(t, before.url, { cluster_name: 'hpi' })
  const letDie = keepAlive(t, hpi)
  const { job_id: id } = await (await before.fetch('/api/deploy', asYaml(yamlDescriptor()))).json() as { job_id: string }
  await eventually(jobOf(before, id), job => job.status === 'RUNNING', 10_000)
  letDie()
  await eventually(clusterOf(before, hpi.id), cluster => cluster.lost_at !== null, 15_000)
  await before.close()

  const after = await startServer(t, settings)
  const again = await connectCluster(t, after.url, { cluster_name: 'hpi' })
  const dieAgain = keepAlive(t, again, [id])
  const back = await eventually(clusterOf(after, hpi.id), cluster => cluster.lost_at === null, 10_000)
  t.match(back, { active: true, recovered_at: /^\d{4}-/, losses: 1 })
  await eventually(jobOf(after, id), job => job.status === 'RUNNING' && !job.instance_list[0]!.silent, 10_000)

  const tum = await connectCluster(t, after.url, { cluster_name: 'tum' })
  keepAlive(t, tum)
  dieAgain()
  const elsewhere = await eventually(jobOf(after, id), job => job.status === 'RUNNING' && job.instance_list.some(entry => entry.cluster_id === tum.id), 15_000)
  t.same(elsewhere.instance_list.map(entry => [entry.cluster_id, entry.status]), [[tum.id, 'RUNNING']])
  t.match(await clusterOf(after, hpi.id)(), { losses: 2, lost_at: /^\d{4}-/ })
})
