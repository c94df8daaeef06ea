import { join } from 'node:path'
import Fastify from 'fastify'
import type { Test } from 'tap'
import { createLiveness } from '../../../services/cluster-registry/liveness.js'
import { createClusterRegistry } from '../../../services/cluster-registry/registry.js'
import { createCommitter } from '../../../services/job-lifecycle/commit.js'
import { createClusterReports } from '../../../services/job-lifecycle/operations/cluster-reports.js'
import { createDriftDetection } from '../../../services/job-lifecycle/operations/drift.js'
import { createAddressPool } from '../../../stores/sqlite/addresses.js'
import { createClusterStore } from '../../../stores/sqlite/clusters.js'
import { openConnection } from '../../../stores/sqlite/connection.js'
import { createJobStore } from '../../../stores/sqlite/jobs.js'
import { createOutbox } from '../../../stores/sqlite/outbox.js'
import { POLICY } from '../../unit/state-machine/sample.js'

/** What takes the reports of clusters, wired as in a server, over an embedded store whose inside can be looked at. */
export async function openReports (t: Test) {
  const connection = await openConnection({ file: join(t.testdir(), 'system-manager.db') })
  t.teardown(() => connection.close())
  const { log } = Fastify()
  const clusters = createClusterStore(connection)
  const outbox = createOutbox(connection)
  const jobs = createJobStore(connection, createAddressPool(connection), outbox)
  const registry = createClusterRegistry({ clusters }, createLiveness(45_000))
  const committer = createCommitter(jobs, POLICY, log)
  const drift = createDriftDetection({ jobs, clusters, committer, intervalMs: 10_000, log })
  return { connection, clusters, outbox, jobs, registry, drift, reports: createClusterReports({ jobs, registry, committer, drift }) }
}
