import t from 'tap'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { placed, unplaceable, waiting } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import { commands, entries, ETH, events, fields, HPI, movedTo, placedJob, placedOn, runningJob, sampleDescriptor, stored, TUM, updated } from './sample.js'

const verdict = (summary: string, outcome: 'waiting' | 'unplaceable' = 'unplaceable', decided_at = new Date().toISOString()) => ({ decided_at, outcome, summary, clusters: [], omitted: 0 })

t.test('placing commands one deploy per cluster', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 3 }), 'user'))
  const change = placed(
    job,
    {
      kind: 'placed',
      assignments: [
        { instance_number: 0, cluster_id: HPI, original: false, offered: null },
        { instance_number: 1, cluster_id: TUM, original: false, offered: null },
        { instance_number: 2, cluster_id: HPI, original: false, offered: null }
      ],
      explanation: verdict('placed')
    },
    'scheduler'
  )
  t.same(commands(change), [`deploy ${HPI}`, `deploy ${TUM}`])
  t.equal(change?.job.status, 'CLUSTER_SCHEDULED')
})

t.test('placing more instances on a cluster commands it to run the new number', async t => {
  const job = placedJob([HPI])
  const grown = stored(updated(job, { replicas: 2 }))
  const change = placed(
    grown,
    {
      kind: 'placed',
      assignments: [{ instance_number: 1, cluster_id: HPI, original: false, offered: null }],
      explanation: verdict('placed')
    },
    'scheduler'
  )
  t.same(commands(change), [`replicate ${HPI} 2`])
})

t.test('a placement that comes too late places nothing', async t => {
  const answer = {
    kind: 'placed' as const,
    assignments: [{ instance_number: 0, cluster_id: TUM, original: false, offered: null }],
    explanation: verdict('placed')
  }
  t.equal(placed(placedJob([HPI]), answer, 'scheduler'), undefined, 'it has a cluster already')
  const gone = stored(undeploying(stored(created(sampleDescriptor(), 'user')), 'user'))
  t.equal(placed(gone, answer, 'scheduler'), undefined, 'it is undeployed')
})

t.test('instances that found no place while others did show why', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 2 }), 'user'))
  const change = placed(
    job,
    {
      kind: 'placed',
      assignments: [{ instance_number: 0, cluster_id: HPI, original: false, offered: null }],
      failure: 'NoActiveClusterWithCapacity',
      explanation: verdict('placed 1 of 2')
    },
    'scheduler'
  )
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

t.test('that there is no room shows on what has no place, never on what runs or waits for a removal', async t => {
  const change = movedTo(stored(scaled(runningJob([HPI, TUM]), 3, 'user')), TUM, { order: 'stop-first' })
  const job = stored(change)
  const expected = (status: string, reason: string) => [['RUNNING', null], ['REQUESTED', job.instance_list[1]!.status_reason], [status, reason]]
  const full = unplaceable(job, 'NoActiveClusterWithCapacity', verdict('no room'), 'scheduler')
  t.same(fields(full?.job, 'status', 'status_reason'), expected('NoActiveClusterWithCapacity', 'no room'))
  t.same(events(full), ['status 2 REQUESTED>NoActiveClusterWithCapacity: instance 2 is NoActiveClusterWithCapacity: no room', 'unplaceable: no room'])
  t.same(fields(waiting(job, verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler')?.job, 'status', 'status_reason'), expected('REQUESTED', 'hpi: no heartbeat yet'))
  t.same(events(waiting(job, verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler')), ['waiting: hpi: no heartbeat yet'])
})

t.test('of several without a place, all that find none say so, and what runs does not', async t => {
  const job = stored(scaled(runningJob([HPI]), 4, 'user'))
  const placing = (failure?: 'NoActiveClusterWithCapacity') =>
    placed(
      job,
      {
        kind: 'placed',
        assignments: [{ instance_number: 2, cluster_id: TUM, original: false, offered: null }],
        explanation: verdict('placed 1 of 3'),
        ...(failure && { failure })
      },
      'scheduler'
    )
  t.same(fields(placing('NoActiveClusterWithCapacity')?.job, 'cluster_id', 'status', 'status_reason'), [
    [HPI, 'RUNNING', null], ['', 'NoActiveClusterWithCapacity', 'placed 1 of 3'], [TUM, 'CLUSTER_SCHEDULED', null], ['', 'NoActiveClusterWithCapacity', 'placed 1 of 3']
  ])
  t.same(fields(placing()?.job, 'status', 'status_reason'), [['RUNNING', null], ['REQUESTED', 'placed 1 of 3'], ['CLUSTER_SCHEDULED', null], ['REQUESTED', 'placed 1 of 3']])
  t.same(events(placing()), ['status 2 @tum REQUESTED>CLUSTER_SCHEDULED: instance 2 is CLUSTER_SCHEDULED', 'placed: placed 1 of 3'])
  t.equal(placing()?.job.explanation?.summary, 'placed 1 of 3')
})

t.test('what is placed late gets the descriptor as it is by then', async t => {
  const job = stored(updated(stored(created(sampleDescriptor(), 'user')), { image: 'nginx:2' }))
  job.instance_list[0]!.generation = 1
  t.same(fields(placedOn(job, { 0: HPI })?.job, 'generation'), [[2]])
})

t.test('an instance is never placed where it runs already, nor one that there is not', async t => {
  const moving = stored(movedTo(runningJob([HPI]), HPI))
  t.equal(placedOn(moving, { 0: HPI }), undefined)
  t.equal(placedOn(moving, { 7: TUM }), undefined)
  t.same(entries(placedOn(moving, { 0: TUM, 7: ETH })?.job), [`0 ${HPI} RUNNING`, `0 ${TUM} CLUSTER_SCHEDULED from ${HPI}`])
})

t.test('no verdict counts for a job that is being removed', async t => {
  const job = stored(undeploying(runningJob([HPI]), 'user'))
  job.instance_list = [{ ...runningJob([HPI]).instance_list[0]!, cluster_id: '' }]
  t.equal(unplaceable(job, 'NoActiveClusterWithCapacity', verdict('no room'), 'scheduler'), undefined)
  t.equal(waiting(job, verdict('soon', 'waiting'), 'scheduler'), undefined)
  t.equal(placedOn(job, { 0: TUM }), undefined)
})

t.test(
  'a sentence is old after half a minute, one with other figures after five; what says the same is never written again',
  async t => {
    const at = (seconds: number) => new Date(Date.parse('2026-01-31T12:00:00Z') + seconds * 1000)
    const job = stored(created(sampleDescriptor(), 'user'))
    const first = stored(
      unplaceable(
        job,
        'TargetClusterNoCapacity',
        verdict('1 free', 'unplaceable', at(0).toISOString()),
        'scheduler',
        at(0)
      )
    )
    const firstWaiting = stored(waiting(job, verdict('1 free', 'waiting', at(0).toISOString()), 'scheduler', at(0)))
    for (const again of [
      (summary: string, when: Date) =>
        unplaceable(first, 'TargetClusterNoCapacity', verdict(summary), 'scheduler', when),
      (summary: string, when: Date) => waiting(firstWaiting, verdict(summary, 'waiting'), 'scheduler', when)
    ]) {
      t.equal(again('2 free', at(300)), undefined)
      t.equal(again('2 free', at(300.001))?.job.status_reason, '2 free')
      t.equal(again('silent', at(30)), undefined)
      t.equal(again('silent', at(30.001))?.job.status_reason, 'silent')
      t.equal(again('1 free', at(3600)), undefined)
    }
  }
)

t.test('a verdict is stored for the first instance too when the second shows it already', async t => {
  const full = stored(unplaceable(stored(created(sampleDescriptor({ replicas: 2 }), 'user')), 'NoActiveClusterWithCapacity', verdict('no room'), 'scheduler'))
  Object.assign(full.instance_list[0]!, { status: 'REQUESTED', status_reason: null })
  const again = unplaceable(full, 'NoActiveClusterWithCapacity', verdict('no room'), 'scheduler')
  t.same(fields(again?.job, 'status', 'status_reason'), [['NoActiveClusterWithCapacity', 'no room'], ['NoActiveClusterWithCapacity', 'no room']])
})
