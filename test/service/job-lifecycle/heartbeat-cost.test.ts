import t from 'tap'
import type { Status } from '../../../schemas/status.js'
import { aJob, on, registered } from '../stores/samples.js'
import { openReports } from './reports.js'

const JOBS = 100
/** One transaction for the sign of life and the figures. */
const FIGURES = 1

t.test('a heartbeat that changes nothing writes no job, and one that changes 100 jobs writes them in one batch', async t => {
  const { connection, clusters, jobs, drift, reports } = await openReports(t)
  const { id: clusterId } = await registered({ clusters })
  const ofCluster = Array.from({ length: JOBS }, () => on(aJob(), clusterId))
  await jobs.commit(ofCluster.map(job => ({ job, events: [], commands: [] })))

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
