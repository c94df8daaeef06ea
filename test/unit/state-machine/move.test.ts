import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { drainEnded, movedBetweenNodes } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { forgotten, evicted } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
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
  reported
} from './sample.js'

const drain = { why: 'drain', location: null } as const

t.test('start-first: the source goes when the successor runs, and the address goes with the instance', async t => {
  const job = runningJob([HPI])
  const moving = movedTo(job, HPI)
  t.same(entries(moving?.job), [`0 ${HPI} RUNNING`, `0 - REQUESTED from ${HPI}`])
  t.equal(moving?.job.status, 'RUNNING')
  t.same(commands(moving), [])
  const placed = placedOn(stored(moving), { 0: TUM })
  t.same(commands(placed), [`deploy ${TUM}`])
  const ran = reported(stored(placed), TUM, 'RUNNING')
  t.same(commands(ran), [`delete ${HPI}`])
  t.match(ran?.job, { instance_list: [{ cluster_id: TUM, move: null, instance_ip: job.instance_list[0]!.instance_ip }], retiring: [{ cluster_id: HPI }] })
})

t.test('stop-first: it is placed when its source is removed, refuses to, is lost or is forgotten', async t => {
  const change = movedTo(runningJob([HPI]), HPI, { order: 'stop-first' })
  const job = stored(change)
  t.same(commands(change), [`delete ${HPI}`])
  t.same(entries(job), ['0 - REQUESTED'])
  t.equal(placedOn(job, { 0: TUM }), undefined)
  for (const after of [
    acknowledged(job, HPI, sent(change).command_id),
    refused(job, HPI, sent(change), 'busy'),
    evicted(job, HPI, 'hpi', 'system'),
    forgotten(job, HPI, 'user')
  ]) { t.same(commands(placedOn(stored(after), { 0: TUM })), [`deploy ${TUM}`]) }
})

t.test('a move that does not end in time leaves the source running and shows why', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const after = expireDeadlines(moving, POLICY, 'system', minutesAfter(moving.updated_at, 6))
  t.same(entries(after?.job), [`0 ${HPI} RUNNING`])
  t.same(commands(after), [`delete ${TUM}`])
  t.match(after?.job.instance_list[0]?.status_reason, /a move failed: at .* it was CLUSTER_SCHEDULED/)
  t.ok(eventTypes(after).includes('move_failed'))
})

t.test('a drain is never given up, but tried elsewhere', async t => {
  let job = stored(movedTo(runningJob([HPI]), HPI, drain))
  for (let attempt = 0; attempt < POLICY.maxAttempts + 2; attempt++) {
    const target = attempt % 2 === 0 ? TUM : ETH
    job = stored(reported(stored(placedOn(job, { 0: target })), target, 'FAILED'))
    job = stored(expireDeadlines(job, POLICY, 'system', minutesAfter(job.updated_at, 3)))
    t.same(entries(job), [`0 ${HPI} RUNNING`, `0 - REQUESTED from ${HPI}`])
  }
})

t.test('a drained cluster is left by what was only on its way to it', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const change = movedTo(moving, TUM, drain)
  t.same(entries(change?.job), [`0 ${HPI} RUNNING`, `0 - REQUESTED from ${HPI}`])
  t.same(commands(change), [`delete ${TUM}`])
})

t.test('a move by a user cannot fail any more when its source is drained', async t => {
  const moving = stored(movedTo(runningJob([HPI]), HPI))
  const change = stored(movedTo(moving, HPI, drain))
  t.match(change.instance_list[1], { location: 'tum', move: { why: 'drain' } })
  t.match(movedTo(change, HPI, { location: 'eth' })?.job.instance_list[1], { location: 'eth', move: { why: 'drain' } })
})

t.test('stop-first is taken instead of a start-first that is under way', async t => {
  const change = movedTo(stored(movedTo(runningJob([HPI]), HPI)), HPI, { order: 'stop-first' })
  t.same(entries(change?.job), ['0 - REQUESTED'])
  t.same(commands(change), [`delete ${HPI}`])
})

t.test('asking for the same move again changes nothing', async t => {
  t.equal(movedTo(stored(movedTo(runningJob([HPI]), HPI)), HPI), undefined)
})

t.test('the end of a drain keeps what has found no other place, not what is on its way', async t => {
  const draining = stored(movedTo(runningJob([HPI, HPI]), HPI, drain))
  const half = stored(placedOn(draining, { 0: TUM }))
  t.same(entries(drainEnded(half, HPI, 'user')?.job), [`0 ${HPI} RUNNING`, `0 ${TUM} CLUSTER_SCHEDULED from ${HPI}`, `1 ${HPI} RUNNING`])
})

t.test('the end of a drain of a lost cluster leaves the failover', async t => {
  const draining = stored(evicted(stored(movedTo(runningJob([HPI]), HPI, drain)), HPI, 'hpi', 'system'))
  t.match(drainEnded(draining, HPI, 'user')?.job.instance_list[1], { move: { from: HPI, why: 'failover' } })
})

t.test('a drain leaves what has COMPLETED where it is', async t => {
  t.equal(movedTo(stored(reported(runningJob([HPI]), HPI, 'COMPLETED')), HPI, drain), undefined)
})

t.test('a source that its cluster has no room for leaves the instance to its successor', async t => {
  const job = placedJob([HPI])
  const moving = stored(movedTo(job, HPI))
  const after = refused(moving, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, 'NO_WORKER_CAPACITY')
  t.same(entries(after?.job), ['0 - REQUESTED'])
})

t.test('a move to a cluster with other instances of the job waits for its own', async t => {
  const moving = placedOn(stored(movedTo(runningJob([HPI, TUM]), HPI)), { 0: TUM })
  t.equal(reported(stored(moving), TUM, 'RUNNING'), undefined)
  t.same(entries(carriedOut(moving)), [`0 ${TUM} RUNNING`, `1 ${TUM} RUNNING`])
})

t.test('a move shows where each instance goes and why, and leaves the others alone', async t => {
  const job = runningJob([HPI, TUM, HPI])
  const change = movedTo(job, HPI, { location: 'eth' })
  const move = { from: HPI, why: 'asked', since: change!.job.updated_at }
  t.same(fields(change?.job, 'instance_number', 'cluster_id', 'location', 'move'), [
    [0, HPI, null, null], [0, '', 'eth', move], [1, TUM, null, null], [2, HPI, null, null], [2, '', 'eth', move]
  ])
  t.same(events(change), [0, 2].map(number => `moving ${number} @hpi: instance ${number} is to leave hpi for eth, start-first`))
  t.match(change?.events, [{ cause: 'user' }, { cause: 'user' }])
  t.same(fields(movedTo(job, HPI, { location: 'eth', numbers: new Set([2]) })?.job, 'instance_number', 'cluster_id'), [[0, HPI], [1, TUM], [2, HPI], [2, '']])
  t.equal(movedTo(job, ETH), undefined)
})

t.test('stop-first shows why the instance is down, and what it waits for', async t => {
  const change = movedTo(runningJob([HPI, TUM]), HPI, { order: 'stop-first' })
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason', 'location', 'awaits', 'move'), [
    ['', 'REQUESTED', 'to be moved: its cluster has to remove it first', 'tum', sent(change).command_id, null], [TUM, 'RUNNING', null, null, null, null]
  ])
  t.same(events(change), [
    'status 0 @hpi RUNNING>REQUESTED: instance 0 is REQUESTED: to be moved: its cluster has to remove it first',
    'moving 0 @hpi: instance 0 is to leave hpi for tum, stop-first',
    'retiring @hpi: hpi is to remove instance 0'
  ])
})

t.test('stop-first does not wait for a cluster that is lost', async t => {
  const away = stored(evicted(runningJob([HPI], { cluster_location: 'hpi' }), HPI, 'hpi', 'system'))
  const change = movedTo(away, HPI, { order: 'stop-first' })
  t.same(fields(change?.job, 'cluster_id', 'awaits', 'silent'), [['', null, false]])
  t.same(commands(change), [`delete ${HPI}`])
})

t.test('a move ends in one event, and the instance has all its starts again', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI, ETH]), HPI)), { 0: TUM }))
  const change = reported(moving, TUM, 'RUNNING')
  t.same(fields(change?.job, 'cluster_id', 'status', 'move', 'attempts', 'location'), [[TUM, 'RUNNING', null, 0, 'tum'], [ETH, 'RUNNING', null, 0, null]])
  t.same(events(change), [
    'status 0 @tum CLUSTER_SCHEDULED>RUNNING: instance 0 is RUNNING',
    'moved 0 @tum: instance 0 runs on tum, no longer on hpi',
    'retiring @hpi: hpi is to remove instance 0'
  ])
})

t.test('when its source is gone the successor stands alone, with all its starts', async t => {
  const moving = stored(movedTo(runningJob([HPI]), HPI))
  moving.instance_list[1]!.attempts = 3
  const change = forgotten(moving, HPI, 'user')
  t.same(fields(change?.job, 'cluster_id', 'move', 'attempts'), [['', null, 0]])
  t.same(events(change), ['moving 0 @hpi: instance 0 is no longer on hpi: its successor takes its place'])
})

t.test('a source that runs ends a failover, and no other move', async t => {
  for (const why of ['asked', 'drain', 'update'] as const) {
    t.equal(stored(movedTo(runningJob([HPI]), HPI, { why })).instance_list.length, 2, why)
  }
  const away = stored(placedOn(stored(evicted(runningJob([HPI]), HPI, 'hpi', 'system')), { 0: TUM }))
  const change = reported(away, HPI, 'RUNNING')
  t.same(events(change), [
    'status 0 @hpi DEAD>RUNNING: instance 0 is RUNNING',
    'move_ended 0 @hpi: instance 0 stays: hpi came back with it',
    'retiring @tum: tum is to remove instance 0'
  ])
})

t.test('another target replaces a move that is under way, in one event', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const change = movedTo(moving, HPI, { location: 'eth' })
  t.same(fields(change?.job, 'cluster_id', 'location', 'move'), [[HPI, null, null], ['', 'eth', { from: HPI, why: 'asked', since: change!.job.updated_at }]])
  t.same(commands(change), [`delete ${TUM}`])
  t.same(events(change), ['moving 0 @hpi: instance 0 is to leave hpi for eth, start-first', 'retiring @tum: tum is to remove instance 0'])
})

t.test('a drain of what leaves already says so once, and keeps to what has to leave anyway', async t => {
  const moving = stored(movedTo(runningJob([HPI]), HPI))
  t.same(events(movedTo(moving, HPI, drain)), ['moving 0 @hpi: instance 0 has to leave hpi'])
  for (const why of ['update', 'failover', 'drain'] as const) {
    const job =
      why === 'failover' ? evicted(runningJob([HPI]), HPI, 'hpi', 'system') : movedTo(runningJob([HPI]), HPI, { why })
    t.equal(movedTo(stored(job), HPI, drain), undefined, why)
  }
})

t.test('a move of an instance that is moving already means its source', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  t.equal(movedTo(moving, TUM, { location: 'eth' }), undefined)
  const drained = movedTo(moving, TUM, drain)
  t.same(fields(drained?.job, 'cluster_id', 'status', 'status_reason'), [[HPI, 'RUNNING', null], ['', 'REQUESTED', 'the cluster that it was to move to is being drained']])
})

t.test('a user moves what has COMPLETED, for it to run again elsewhere', async t => {
  const done = stored(reported(runningJob([HPI]), HPI, 'COMPLETED'))
  t.same(entries(movedTo(done, HPI)?.job), [`0 ${HPI} COMPLETED`, `0 - REQUESTED from ${HPI}`])
})

t.test('nothing moves of a job that is being removed', async t => {
  const job = stored(undeploying(runningJob([HPI]), 'user'))
  job.instance_list = runningJob([HPI]).instance_list
  t.equal(movedTo(job, HPI), undefined)
  t.equal(movedBetweenNodes(job, HPI, 'vm-1', 'vm-2', 'user'), undefined)
})

t.test('the end of a drain says what stays, and ends no other move', async t => {
  const draining = stored(movedTo(runningJob([HPI, TUM]), HPI, { ...drain, from: new Set([HPI, TUM]) }))
  const change = drainEnded(draining, HPI, 'user')
  t.same(entries(change?.job), [`0 ${HPI} RUNNING`, `1 ${TUM} RUNNING`, `1 - REQUESTED from ${TUM}`])
  t.same(events(change), ['move_ended 0 @hpi: instance 0: its cluster takes instances again, it stays'])
  t.equal(drainEnded(stored(movedTo(runningJob([HPI]), HPI)), HPI, 'user'), undefined)
  const lostDraining = stored(evicted(stored(movedTo(runningJob([HPI]), HPI, drain)), HPI, 'hpi', 'system'))
  t.same(events(drainEnded(lostDraining, HPI, 'user')), ['move_ended 0 @hpi: instance 0: its cluster takes instances again, but gives no sign of life'])
})

t.test('a failed move away from a lost cluster shows that the instance may go elsewhere', async t => {
  const moving = stored(evicted(stored(movedTo(runningJob([HPI]), HPI)), HPI, 'hpi', 'system'))
  const change = expireDeadlines(moving, POLICY, 'system', minutesAfter(moving.updated_at, 6))
  t.same(events(change), ['moving 0 @hpi: instance 0 may go elsewhere, since hpi is lost: no place was found for it: REQUESTED'])
  const tied = stored(
    evicted(stored(movedTo(runningJob([HPI], { cluster_location: 'hpi' }), HPI)), HPI, 'hpi', 'system')
  )
  t.same(entries(expireDeadlines(tied, POLICY, 'system', minutesAfter(tied.updated_at, 6))?.job), [`0 ${HPI} DEAD`], 'where it is tied it stays')
})

t.test('a cluster gets a command to move a job between two of its nodes, and a pin to the old node follows', async t => {
  const job = runningJob([HPI, TUM], { node: 'vm-1', requirements: { cpu: 1, node: 'vm-1' } })
  const change = movedBetweenNodes(job, HPI, 'vm-1', 'vm-2', 'user')
  t.match(change?.commands, [{ kind: 'move', cluster_id: HPI, job_id: job.id, node_from: 'vm-1', node_to: 'vm-2' }])
  t.equal(change?.commands.length, 1)
  t.match(change?.job.descriptor, { node: 'vm-2', requirements: { cpu: 1, node: 'vm-2' } })
  t.same(events(change), ['moving @hpi: the cluster is to move it from worker node vm-1 to vm-2'])
  t.same(change?.job.instance_list, job.instance_list)
})

t.test('a pin to another node, or none, stays as it is', async t => {
  for (const pin of [{ node: 'vm-3', requirements: { node: 'vm-3' } }, {}]) {
    const job = runningJob([HPI], pin)
    t.same(movedBetweenNodes(job, HPI, 'vm-1', 'vm-2', 'user')?.job.descriptor, job.descriptor)
  }
})

t.test('no cluster gets a command to move what it does not have, or to where it is', async t => {
  t.equal(movedBetweenNodes(runningJob([HPI]), TUM, 'vm-1', 'vm-2', 'user'), undefined)
  t.equal(movedBetweenNodes(runningJob([HPI]), HPI, 'vm-1', 'vm-1', 'user'), undefined)
})
