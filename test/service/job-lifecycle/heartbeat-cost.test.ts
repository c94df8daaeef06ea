import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import type { Status } from '../../../schemas/status.js'
import { createClusterRegistry } from '../../../services/cluster-registry/registry.js'
import { createCommitter } from '../../../services/job-lifecycle/commit.js'
import { createClusterReports } from '../../../services/job-lifecycle/operations/cluster-reports.js'
import { createDriftDetection } from '../../../services/job-lifecycle/operations/drift.js'
import { createAddressPool } from '../../../stores/sqlite/addresses.js'
import { createClusterStore } from '../../../stores/sqlite/clusters.js'
import { openConnection } from '../../../stores/sqlite/connection.js'
import { createJobStore } from '../../../stores/sqlite/jobs.js'
import { createOutbox } from '../../../stores/sqlite/outbox.js'
import { createSubnetStore } from '../../../stores/sqlite/subnets.js'
import { POLICY } from '../../unit/state-machine/sample.js'
import { aJob, on, registered } from '../stores/samples.js'

const JOBS = 100
/** One transaction for the sign of life and the figures. */
const FIGURES = 1

t.test('a heartbeat that changes nothing writes no job, and one that changes 100 jobs writes them in one batch', async t => {
  const connection = await openConnection({ file: join(t.testdir(), 'system-manager.db') })
  t.teardown(() => connection.close())
  const { log } = Fastify()
  const clusters = createClusterStore(connection)
  const jobs = createJobStore(connection, createAddressPool(connection), createOutbox(connection))
  const registry = createClusterRegistry({ clusters, subnets: createSubnetStore(connection) }, 45_000)
  const committer = createCommitter(jobs, POLICY, log)
  const drift = createDriftDetection({ jobs, clusters, committer, intervalMs: 10_000, log })
  const reports = createClusterReports({ jobs, registry, committer, drift })

  const { id: clusterId } = await registered({ clusters })
  const ofCluster = Array.from({ length: JOBS }, () => on(aJob(), clusterId))
  await committer.commit(ofCluster.map(job => ({ job, events: [], commands: [] })))

  const beat = async (status: Status) => {
    const before = connection.commits
    const { warnings } = await reports.heartbeat(clusterId, {
      cpu_percent: 12,
      jobs: ofCluster.map(({ id }) => ({ system_job_id: id, status }))
    })
    t.same(warnings, [])
    await drift.idle()
    const stored = await jobs.getMany(ofCluster.map(({ id }) => id))
    return {
      transactions: connection.commits - before,
      statuses: [...new Set(stored.map(job => job.status))],
      revisions: [...new Set(stored.map(job => job.revision))]
    }
  }

  t.same(await beat('RUNNING'), { transactions: FIGURES + 1, statuses: ['RUNNING'], revisions: [2] })
  const unchanged = { transactions: FIGURES, statuses: ['RUNNING'], revisions: [2] }
  t.same(await beat('RUNNING'), unchanged, 'said again')
  t.same(await beat('CREATED'), unchanged, 'a late message')
  t.same(await beat('DEAD'), { transactions: FIGURES + 1, statuses: ['DEAD'], revisions: [3] })
})
