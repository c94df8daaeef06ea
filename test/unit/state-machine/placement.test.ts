import t from 'tap'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { placed, unplaceable, waiting } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import { commands, HPI, placedJob, sampleDescriptor, stored, TUM, updated } from './sample.js'

const verdict = (summary: string, outcome: 'waiting' | 'unplaceable' = 'unplaceable', decided_at = new Date().toISOString()) => ({ decided_at, outcome, summary, clusters: [], omitted: 0 })

t.test('placing commands one deploy per cluster', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 3 }), 'user'))
  const change = placed(job, {
    kind: 'placed',
    assignments: [{ instance_number: 0, cluster_id: HPI }, { instance_number: 1, cluster_id: TUM }, { instance_number: 2, cluster_id: HPI }],
    explanation: verdict('placed')
  }, 'scheduler')
  t.same(commands(change), [`deploy ${HPI}`, `deploy ${TUM}`])
  t.equal(change?.job.status, 'CLUSTER_SCHEDULED')
})

t.test('placing more on a cluster that has some tells it the new number', async t => {
  const job = placedJob([HPI])
  const grown = stored(updated(job, { replicas: 2 }))
  const change = placed(grown, { kind: 'placed', assignments: [{ instance_number: 1, cluster_id: HPI }], explanation: verdict('placed') }, 'scheduler')
  t.same(commands(change), [`replicate ${HPI} 2`])
})

t.test('a placement that comes too late places nothing', async t => {
  const answer = { kind: 'placed' as const, assignments: [{ instance_number: 0, cluster_id: TUM }], explanation: verdict('placed') }
  t.equal(placed(placedJob([HPI]), answer, 'scheduler'), undefined, 'it has a cluster already')
  const gone = stored(undeploying(stored(created(sampleDescriptor(), 'user')), 'user'))
  t.equal(placed(gone, answer, 'scheduler'), undefined, 'it is undeployed')
})

t.test('instances that found no place while others did are told why', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 2 }), 'user'))
  const change = placed(job, { kind: 'placed', assignments: [{ instance_number: 0, cluster_id: HPI }], failure: 'NoActiveClusterWithCapacity', explanation: verdict('placed 1 of 2') }, 'scheduler')
  t.equal(change?.job.status, 'NoActiveClusterWithCapacity')
  t.match(change?.job.status_reason, /instance 1: placed 1 of 2/)
})

t.test('a verdict is stored once, and again when its kind changes or its numbers are old', async t => {
  const job = stored(created(sampleDescriptor(), 'user'))
  const first = stored(unplaceable(job, 'TargetClusterNoCapacity', verdict('hpi: 0.2 cores free of 1 asked'), 'scheduler'))
  t.equal(first.status, 'TargetClusterNoCapacity')
  t.equal(first.status_reason, 'hpi: 0.2 cores free of 1 asked')
  t.equal(unplaceable(first, 'TargetClusterNoCapacity', verdict('hpi: 0.2 cores free of 1 asked'), 'scheduler'), undefined)
  t.equal(unplaceable(first, 'TargetClusterNoCapacity', verdict('hpi: 0.3 cores free of 1 asked'), 'scheduler'), undefined)
  t.equal(unplaceable(first, 'TargetClusterNotActive', verdict('hpi: silent'), 'scheduler')?.job.status, 'TargetClusterNotActive')
  const old = { ...first, explanation: verdict('hpi: 0.2 cores free of 1 asked', 'unplaceable', '2026-01-01T00:00:00.000Z') }
  t.match(unplaceable(old, 'TargetClusterNoCapacity', verdict('hpi: 0.3 cores free of 1 asked'), 'scheduler')?.job.status_reason, '0.3')
})

t.test('waiting for the figures of a cluster leaves the job REQUESTED and says what it waits for', async t => {
  const job = stored(created(sampleDescriptor(), 'user'))
  const change = waiting(job, verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler')
  t.match(change?.job, { status: 'REQUESTED', status_reason: 'hpi: no heartbeat yet' })
  t.equal(waiting(stored(change), verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler'), undefined)
})
