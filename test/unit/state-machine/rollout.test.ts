import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { rolledBackTo } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { evicted, recovered } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import {
  carriedOut,
  commands,
  entries,
  ETH,
  events,
  eventTypes,
  fields,
  HPI,
  minutesAfter,
  movedTo,
  placedJob,
  placedOn,
  POLICY,
  runningJob,
  sent,
  stored,
  TUM,
  updated,
  reported
} from './sample.js'

const generations = (job: { instance_list: Array<{ generation: number }> } | undefined) => job?.instance_list.map(({ generation }) => generation)

t.test('a new image is deployed where the instances are, and old reports do not count until it is acknowledged', async t => {
  const job = stored(reported(placedJob([HPI]), HPI, 'RUNNING'))
  const change = updated(job, { replicas: 1, image: 'nginx:2' })
  t.same(commands(change), [`deploy ${HPI}`])
  t.match(change?.job, { generation: 2, status: 'CLUSTER_SCHEDULED' })
  t.equal(reported(stored(change), HPI, 'RUNNING'), undefined)
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.equal(stored(reported(taken, HPI, 'RUNNING')).status, 'RUNNING')
})

t.test('a refused update leaves the instance where it runs, and goes back to the descriptor before', async t => {
  const change = updated(placedJob([HPI]), { replicas: 1, image: 'nginx:2' })
  const after = refused(stored(change), HPI, sent(change), 'NO_WORKER_CAPACITY')
  t.match(after?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, instance_list: [{ cluster_id: HPI, generation: 3 }], rollout: { rollback: true } })
  t.same(commands(after), [`deploy ${HPI}`])
})

t.test('no more instances are down at a time than max_unavailable, and the update ends when all run', async t => {
  let change = updated(runningJob([HPI, TUM, ETH]), { image: 'nginx:2' })
  for (const cluster of [HPI, TUM, ETH]) {
    t.same(commands(change), [`deploy ${cluster}`])
    const taken = stored(acknowledged(stored(change), cluster, sent(change).command_id))
    change = reported(taken, cluster, 'RUNNING')
  }
  t.match(change?.job, { rollout: null, status: 'RUNNING', generation: 2 })
  t.ok(eventTypes(change).includes('rolled_out'))
  t.same(commands(updated(runningJob([HPI, TUM, ETH]), { image: 'nginx:2', rollout: { max_unavailable: 2 } })), [`deploy ${HPI}`, `deploy ${TUM}`])
})

t.test('what is down is renewed at once, beside those that may be down', async t => {
  const job = stored(reported(runningJob([HPI, TUM, ETH]), ETH, 'FAILED'))
  t.same(commands(updated(job, { image: 'nginx:2' })), [`deploy ${ETH}`], 'one of three is down already')
})

t.test('with a surge none is taken down before those that stand in run, and these go in the end', async t => {
  const change = updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout: { max_surge: 1 } })
  t.same(commands(change), [])
  t.same(generations(change?.job), [1, 1, 2])
  let job = carriedOut(placedOn(stored(change), { 2: ETH }))
  t.same(generations(job), [2, 1, 2])
  for (const cluster of [HPI, TUM]) {
    const awaited = job.instance_list.find(entry => entry.cluster_id === cluster)!.awaits!
    job = stored(reported(stored(acknowledged(job, cluster, awaited)), cluster, 'RUNNING'))
  }
  t.match(job, { rollout: null, retiring: [{ cluster_id: ETH }] })
  t.same(generations(job), [2, 2])
})

t.test('with neither max_unavailable nor max_surge one is down at a time: it could not begin otherwise', async t => {
  t.same(commands(updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout: { max_unavailable: 0 } })), [`deploy ${HPI}`])
})

t.test('more replicas in the same update do not take the room of its surge', async t => {
  t.equal(updated(runningJob([HPI]), { image: 'nginx:2', replicas: 3, rollout: { max_surge: 1 } })?.job.instance_list.length, 4)
})

t.test('a failure goes back at once for what is down; what the update has not reached just stays', async t => {
  const change = updated(runningJob([HPI, TUM, ETH]), { image: 'broken', rollout: { max_unavailable: 2 } })
  let job = stored(change)
  for (const index of [0, 1]) job = stored(acknowledged(job, [HPI, TUM][index]!, sent(change, index).command_id))
  const failed = reported(job, TUM, 'FAILED')
  t.match(failed?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, rollout: { rollback: true, auto_rollback: false } })
  t.same(commands(failed), [`deploy ${HPI}`, `deploy ${TUM}`])
  t.equal(failed?.job.instance_list[2]?.generation, 3)
  t.ok(eventTypes(failed).includes('rolled_back'))
  t.match(carriedOut(failed), { rollout: null, status: 'RUNNING' })
})

t.test('at its deadline an update goes back, and one that is not to go back takes as much time again', async t => {
  const late = (rollout: object) => {
    const job = stored(updated(runningJob([HPI]), { image: 'nginx:2', rollout: { deadline_s: 60, ...rollout } }))
    const at = minutesAfter(job.updated_at, 1)
    return { at, change: expireDeadlines(job, POLICY, 'system', at) }
  }
  t.match(late({}).change?.job, { generation: 3, rollout: { rollback: true } })
  const { at, change } = late({ auto_rollback: false })
  t.match(change?.job, { generation: 2, rollout: { rollback: false } })
  t.ok(Date.parse(change!.job.rollout!.deadline_at) > at.getTime())
})

t.test('overtaken by the next, a half-done update is not what a failure goes back to', async t => {
  const first = stored(updated(runningJob([HPI, TUM]), { image: 'nginx:2' }))
  const second = updated(first, { image: 'broken' })
  const taken = stored(acknowledged(stored(second), HPI, sent(second).command_id))
  t.match(reported(taken, HPI, 'FAILED')?.job, { generation: 4, descriptor: { image: 'nginx:alpine' } })
})

t.test('an update goes on when a failure has nothing to go back to', async t => {
  const updating = stored(updated(runningJob([HPI]), { image: 'nginx:2' }))
  const job = { ...updating, revisions: [], instance_list: updating.instance_list.map(entry => ({ ...entry, awaits: null })) }
  t.match(reported(job, HPI, 'FAILED')?.job, { generation: 2, rollout: { rollback: false } })
})

t.test('the loss of a cluster is no failure of the update, nor is its return; it follows when it is back', async t => {
  const change = updated(runningJob([HPI, TUM], { cluster_location: 'x' }), { image: 'nginx:2', cluster_location: 'x' })
  const away = stored(evicted(stored(change), TUM, 'tum', 'system'))
  const updatedHalf = stored(reported(stored(acknowledged(away, HPI, sent(change).command_id)), HPI, 'RUNNING'))
  t.match(updatedHalf, { rollout: null, generation: 2 })
  const back = recovered(updatedHalf, TUM, 'tum', 'system')
  t.match(back?.job, { generation: 2 })
  t.same(commands(back), [`deploy ${TUM}`])
  t.match(carriedOut(back), { status: 'RUNNING', instance_list: [{ generation: 2 }, { generation: 2 }] })
})

t.test('a drain that finds no place does not hold up an update', async t => {
  const draining = stored(movedTo(runningJob([HPI, TUM]), HPI, { why: 'drain', location: null }))
  const change = updated(draining, { image: 'nginx:2' })
  t.same(commands(change), [`deploy ${TUM}`])
  t.equal(carriedOut(change).rollout, null)
})

t.test('a user goes back to a revision by an update like any other', async t => {
  const job = carriedOut(updated(runningJob([HPI]), { image: 'nginx:2' }))
  const change = rolledBackTo(job, job.revisions[0]!.descriptor!, {
    policy: POLICY,
    cause: 'user',
    mayStay: () => true
  })
  t.match(change?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, rollout: { rollback: false }, revisions: [{ generation: 2 }, { generation: 1 }] })
})

const T = new Date('2026-01-31T12:00:00.000Z')
const after = (seconds: number) => new Date(T.getTime() + seconds * 1000).toISOString()

t.test('a rollback has as much time as the update had, from when it began, and then as much again', async t => {
  const change = updated(runningJob([HPI]), { image: 'broken', rollout: { deadline_s: 60 } }, undefined, T)
  t.match(change?.job.rollout, { from_generation: 1, started_at: after(0), deadline_at: after(60), rollback: false, auto_rollback: true, max_unavailable: 1, max_surge: 0 })
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  const back = reported(taken, HPI, 'FAILED', new Date(after(30)))
  t.same(back?.job.rollout, { from_generation: 2, started_at: after(30), deadline_at: after(90), rollback: true, auto_rollback: false, max_unavailable: 1, max_surge: 0 })
  t.equal(dueAt(back!.job, POLICY), after(90))
  t.equal(expireDeadlines(stored(back), POLICY, 'system', new Date(after(89))), undefined)
  const late = expireDeadlines(stored(back), POLICY, 'system', new Date(after(90)))
  t.match(late?.job.rollout, { deadline_at: after(150), rollback: true })
  t.same(events(late), [`rollout_late: generation 3 goes on, though it did not get through all instances by ${after(90)}`])
})

t.test('where a descriptor names no time, an update has that of the settings', async t => {
  const change = updated(runningJob([HPI]), { image: 'nginx:2' }, undefined, T)
  t.equal(change?.job.rollout?.deadline_at, after(600))
})

t.test('at its deadline an update is rolled back and shows why', async t => {
  const job = stored(updated(runningJob([HPI]), { image: 'nginx:2' }, undefined, T))
  const change = expireDeadlines(job, { ...POLICY, scheduledMs: 1e9 }, 'system', new Date(after(600)))
  t.same(events(change), [
    `rolled_back: generation 2 failed: it did not get through all instances by ${after(600)}; generation 3 restores generation 1`
  ])
  t.same(commands(change), [`deploy ${HPI}`])
  t.match(change?.job.revisions, [{ generation: 2, replaced_at: after(600), cause: `rolled back: it did not get through all instances by ${after(600)}`, descriptor: { image: 'nginx:2' } }, { generation: 1 }])
})

t.test('a rollback ends what the update moved, and not what a user, an operator or a lost cluster moves', async t => {
  for (const [why, stays] of [['update', false], ['asked', true], ['drain', true]] as const) {
    const change = updated(runningJob([HPI, TUM]), { image: 'broken' })
    const updating = stored(acknowledged(stored(change), HPI, sent(change).command_id))
    const moving = stored(movedTo(updating, TUM, { why, location: 'eth' }))
    const back = reported(moving, HPI, 'FAILED')
    t.match(back?.job, { generation: 3, rollout: { rollback: true } }, why)
    t.same(entries(back?.job).slice(1), [`1 ${TUM} RUNNING`, ...stays ? [`1 - REQUESTED from ${TUM}`] : []], why)
    t.same(fields(back?.job, 'generation').slice(1), stays ? [[3], [3]] : [[3]], why)
  }
})

t.test('in a rollback what is down is renewed, and the rest has the generation that it runs', async t => {
  const change = updated(runningJob([HPI, TUM, ETH]), { image: 'broken' })
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  taken.instance_list.forEach(entry => { entry.attempts = 2 })
  const back = reported(taken, HPI, 'FAILED')
  t.same(fields(back?.job, 'cluster_id', 'status', 'status_reason', 'generation', 'attempts', 'awaits'), [
    [HPI, 'CLUSTER_SCHEDULED', 'being updated to the new descriptor', 3, 0, sent(back).command_id],
    [TUM, 'RUNNING', null, 3, 0, null],
    [ETH, 'RUNNING', null, 3, 0, null]
  ])
  t.same(events(back), [
    'status 0 @hpi CLUSTER_SCHEDULED>FAILED: instance 0 is FAILED',
    'rolled_back: generation 2 failed: instance 0 is FAILED; generation 3 restores generation 1',
    'status 0 @hpi FAILED>CLUSTER_SCHEDULED: instance 0 is CLUSTER_SCHEDULED: being updated to the new descriptor'
  ])
  t.ok(events(reported(stored(acknowledged(stored(back), HPI, sent(back).command_id)), HPI, 'RUNNING')).includes('rolled_out: generation 3 is rolled out, as before the update'))
})

t.test('the event of a rollback has the reason of the failure', async t => {
  const change = updated(runningJob([HPI]), { image: 'broken' })
  const back = refused(stored(change), HPI, sent(change), 'boom')
  t.ok(events(back).includes('rolled_back: generation 2 failed: instance 0 is FAILED (the cluster refused: boom); generation 3 restores generation 1'))
})

t.test('only a failure of the new generation since the update began is one of the update', async t => {
  const failed = stored(reported(runningJob([HPI, TUM]), HPI, 'FAILED', T))
  const change = updated(failed, { image: 'nginx:2' }, undefined, new Date(after(1)))
  t.match(change?.job, { generation: 2, rollout: { rollback: false } })
  const other = reported(stored(change), TUM, 'FAILED', new Date(after(2)))
  t.match(other?.job, { generation: 2, rollout: { rollback: false } }, 'of the generation before')
})

t.test('an update ends when the last instance runs, in one event, and not before', async t => {
  const change = updated(runningJob([HPI, TUM]), { image: 'nginx:2' })
  const first = reported(stored(acknowledged(stored(change), HPI, sent(change).command_id)), HPI, 'RUNNING')
  t.ok(first?.job.rollout)
  t.same(events(first), [
    'status 0 @hpi CLUSTER_SCHEDULED>RUNNING: instance 0 is RUNNING',
    'status 1 @tum RUNNING>CLUSTER_SCHEDULED: instance 1 is CLUSTER_SCHEDULED: being updated to the new descriptor'
  ])
  const second = reported(stored(acknowledged(stored(first), TUM, sent(first).command_id)), TUM, 'RUNNING')
  t.same(events(second), ['status 1 @tum CLUSTER_SCHEDULED>RUNNING: instance 1 is RUNNING', 'rolled_out: generation 2 is rolled out'])
  t.same(fields(second?.job, 'generation', 'status', 'status_reason'), [[2, 'RUNNING', null], [2, 'RUNNING', null]])
})

t.test('an update that moves instances ends when they have moved', async t => {
  const change = updated(runningJob([HPI, TUM]), { cluster_location: 'tum' }, id => id === TUM)
  const renewed = carriedOut(change)
  t.ok(renewed.rollout, 'one is still to move')
  t.equal(carriedOut(placedOn(renewed, { 0: ETH })).rollout, null)
})

t.test('a surge is never more than the instances that there are', async t => {
  t.equal(updated(runningJob([HPI]), { image: 'nginx:2', rollout: { max_surge: 5 } })?.job.rollout?.max_surge, 1)
})

t.test('the lowest numbers are updated first, those that are down before all', async t => {
  const job = stored(reported(runningJob([HPI, TUM, ETH]), ETH, 'FAILED'))
  const change = updated(job, { image: 'nginx:2', rollout: { max_unavailable: 2 } })
  t.same(fields(change?.job, 'cluster_id', 'status', 'generation'), [[HPI, 'CLUSTER_SCHEDULED', 2], [TUM, 'RUNNING', 1], [ETH, 'CLUSTER_SCHEDULED', 2]])
  t.same(events(change).filter(event => event.startsWith('status')).map(event => event.split(' ')[1]), ['2', '0'])
})

t.test('a rollback by a user keeps the current number of instances', async t => {
  const job = carriedOut(updated(runningJob([HPI], { replicas: 1 }), { image: 'nginx:2', replicas: 1 }))
  const grown = stored(updated(job, { image: 'nginx:2', replicas: 2 }))
  const change = rolledBackTo(
    grown,
    grown.revisions[0]!.descriptor!,
    { policy: POLICY, cause: 'user', mayStay: () => true },
    T
  )
  t.match(change?.job, { replicas: 2, descriptor: { image: 'nginx:alpine', replicas: 2 }, rollout: { started_at: after(0) } })
})

t.test('whatever a cluster calls it, an instance of the new generation that stops is a failure of the update', async t => {
  const change = updated(runningJob([HPI, HPI]), { image: 'broken', rollout: { max_unavailable: 2 } })
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  for (const told of ['FAILED', 'DEAD', 'NO_WORKER_CAPACITY', 'NO_QUALIFIED_WORKER_FOUND', 'NO_NODE_FOUND'] as const) {
    const back = reported(taken, HPI, told)
    t.ok(events(back).includes(`rolled_back: generation 2 failed: instance 0 is ${told}; generation 3 restores generation 1`), told)
  }
})

t.test('what was out of reach while the update went through is renewed one at a time when it runs again', async t => {
  const change = updated(runningJob([HPI, TUM, TUM], { cluster_location: 'x' }), { image: 'nginx:2', cluster_location: 'x' })
  const away = stored(evicted(stored(change), TUM, 'tum', 'system'))
  const job = stored(reported(stored(acknowledged(away, HPI, sent(change).command_id)), HPI, 'RUNNING'))
  const back = reported(job, TUM, 'RUNNING')
  t.same(fields(back?.job, 'status', 'generation'), [['RUNNING', 2], ['CLUSTER_SCHEDULED', 2], ['RUNNING', 1]])
})

t.test('an update that overtakes a rollback goes back to what the rollback brought', async t => {
  const change = updated(runningJob([HPI]), { image: 'broken' })
  const back = stored(reported(stored(acknowledged(stored(change), HPI, sent(change).command_id)), HPI, 'FAILED'))
  const next = updated(back, { image: 'broken too' })
  t.match(next?.job, { generation: 4, rollout: { from_generation: 3, rollback: false } })
  const again = reported(stored(acknowledged(stored(next), HPI, sent(next).command_id)), HPI, 'FAILED')
  t.match(again?.job, { generation: 5, descriptor: { image: 'nginx:alpine' } })
})
