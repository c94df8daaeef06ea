import t from 'tap'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { forgotten, evicted, recovered } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { acknowledged } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import {
  commands,
  entries,
  ETH,
  events,
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

const loseHpi = (job: Parameters<typeof evicted>[0]) => evicted(job, HPI, 'hpi', 'system')

t.test('when a cluster is forgotten its instances are placed anew and its removals count as done', async t => {
  t.match(forgotten(placedJob([HPI]), HPI, 'user')?.job.instance_list[0], { cluster_id: '', status: 'REQUESTED' })
  const leaving = stored(undeploying(placedJob([HPI]), 'user'))
  t.equal(forgotten(leaving, HPI, 'user')?.job.status, 'UNDEPLOYED')
  t.equal(forgotten(leaving, TUM, 'user'), undefined)
})

t.test('what a lost cluster runs is DEAD and started elsewhere, under its address, without a command yet', async t => {
  const job = runningJob([HPI])
  const change = loseHpi(job)
  t.same(entries(change?.job), [`0 ${HPI} DEAD`, `0 - REQUESTED from ${HPI}`])
  t.same(change?.job.instance_list.map(({ instance_ip: address, silent }) => [address, silent]), [[job.instance_list[0]!.instance_ip, true], [job.instance_list[0]!.instance_ip, false]])
  t.same(commands(change), [])
  t.equal(loseHpi(stored(change)), undefined)
})

t.test('it goes nowhere where the descriptor ties it, unless failover is any', async t => {
  for (const pin of [{ cluster_location: 'hpi' }, { node: 'vm-1' }]) {
    const tied = loseHpi(runningJob([HPI], pin))
    t.same(entries(tied?.job), [`0 ${HPI} DEAD`])
    t.match(tied?.job.status_reason, /the descriptor pins it there/)
    t.match(loseHpi(runningJob([HPI], { ...pin, failover: 'any' }))?.job.instance_list[1], { location: '', move: { why: 'failover' } })
  }
})

t.test('a move by hand ties nothing: what it took to a cluster goes on from there as the descriptor says', async t => {
  for (const pin of [{}, { cluster_location: 'tum' }, { node: 'vm-1' }]) {
    const movedThere = runningJob([HPI], pin)
    movedThere.instance_list[0]!.location = 'hpi'
    const change = loseHpi(movedThere)
    t.same(entries(change?.job), [`0 ${HPI} DEAD`, `0 - REQUESTED from ${HPI}`])
    t.same(fields(change?.job, 'location'), [['hpi'], [null]])
    t.equal(change?.job.instance_list[0]?.status_reason, 'hpi gives no sign of life')
  }
  const back = runningJob([HPI], { cluster_location: 'hpi' })
  back.instance_list[0]!.location = 'hpi'
  t.same(entries(loseHpi(back)?.job), [`0 ${HPI} DEAD`], 'back where the descriptor has it')
})

t.test('a source that runs again before its successor does keeps the instance', async t => {
  const away = stored(placedOn(stored(loseHpi(runningJob([HPI]))), { 0: TUM }))
  const back = stored(recovered(away, HPI, 'hpi', 'system'))
  const change = reported(back, HPI, 'RUNNING')
  t.same(entries(change?.job), [`0 ${HPI} RUNNING`])
  t.same(commands(change), [`delete ${TUM}`])
})

t.test('when the successor runs, the removal waits for the lost cluster, and the address with it', async t => {
  const away = stored(placedOn(stored(loseHpi(runningJob([HPI]))), { 0: TUM }))
  const change = reported(away, TUM, 'RUNNING')
  t.same(entries(change?.job), [`0 ${TUM} RUNNING`])
  t.same(commands(change), [`delete ${HPI}`])
  t.match(change?.job.retiring, [{ cluster_id: HPI, instances: [{ instance_number: 0, instance_ip: away.instance_list[0]!.instance_ip }] }])
})

t.test('what was only on its way to a lost cluster is placed anew', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([TUM]), TUM, { location: 'hpi' })), { 0: HPI }))
  t.same(entries(loseHpi(moving)?.job), [`0 ${TUM} RUNNING`, `0 - REQUESTED from ${TUM}`])
})

t.test('a move that a user asked for becomes a failover when its deadline passes and its source is lost', async t => {
  const moving = stored(loseHpi(stored(movedTo(runningJob([HPI]), HPI))))
  t.match(moving.instance_list[1], { location: 'tum', move: { why: 'asked' } })
  const after = expireDeadlines(moving, POLICY, 'system', minutesAfter(moving.updated_at, 6))
  t.match(after?.job.instance_list[1], { location: null, move: { why: 'failover' } })
  t.equal(dueAt(after!.job, POLICY), null)
})

t.test('what has COMPLETED is not started again', async t => {
  t.equal(loseHpi(stored(reported(runningJob([HPI]), HPI, 'COMPLETED'))), undefined)
})

t.test('instances of a cluster that is back count as begun until it reports, with a deadline', async t => {
  const back = recovered(stored(loseHpi(runningJob([HPI], { cluster_location: 'hpi' }))), HPI, 'hpi', 'system')
  t.match(back?.job.instance_list, [{ status: 'NODE_SCHEDULED', silent: false, status_reason: 'hpi is back and has not reported yet' }])
  t.equal(dueAt(back!.job, POLICY), minutesAfter(back!.job.updated_at, 2).toISOString())
  t.equal(stored(reported(stored(back), HPI, 'RUNNING')).status, 'RUNNING')
})

t.test('a forgotten cluster leaves a moving instance to its successor', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const change = forgotten(moving, HPI, 'user')
  t.same(entries(change?.job), [`0 ${TUM} CLUSTER_SCHEDULED`])
  t.same(commands(change), [])
})

t.test('the loss of a cluster ends only the waits for that cluster: nothing runs twice', async t => {
  const change = movedTo(runningJob([HPI, TUM, ETH]), HPI, { from: new Set([HPI, TUM]), location: null, order: 'stop-first' })
  const waiting = stored(change)
  t.same(entries(waiting), ['0 - REQUESTED', '1 - REQUESTED', `2 ${ETH} RUNNING`])
  for (const over of [evicted(waiting, TUM, 'tum', 'system'), forgotten(waiting, TUM, 'user')]) {
    t.same(fields(over?.job, 'cluster_id', 'awaits'), [['', sent(change).command_id], ['', null], [ETH, null]])
    t.same(entries(placedOn(stored(over), { 0: ETH, 1: ETH })?.job), ['0 - REQUESTED', `1 ${ETH} CLUSTER_SCHEDULED`, `2 ${ETH} RUNNING`])
  }
  t.same(events(evicted(waiting, TUM, 'tum', 'system')), [
    'moving 1 @tum: instance 1 no longer waits for tum to remove it'
  ])
  t.same(entries(evicted(waiting, ETH, 'eth', 'system')?.job), [
    '0 - REQUESTED',
    '1 - REQUESTED',
    `2 ${ETH} DEAD`,
    `2 - REQUESTED from ${ETH}`
  ])
  t.same(fields(evicted(waiting, ETH, 'eth', 'system')?.job, 'awaits').slice(0, 2), [
    [sent(change).command_id],
    [sent(change, 1).command_id]
  ])
})

t.test('what an update awaits on a lost cluster stays awaited, whoever else is lost', async t => {
  const change = updated(runningJob([HPI, TUM, HPI]), { image: 'nginx:2', replicas: 2 })
  t.same(commands(change), [`deploy ${HPI}`], 'it is to remove one, and to renew the other')
  for (const over of [evicted(stored(change), TUM, 'tum', 'system'), evicted(stored(change), HPI, 'hpi', 'system')]) {
    t.equal(over?.job.instance_list[0]?.awaits, sent(change).command_id)
  }
})

t.test('a cluster that is merely silent is no reason to give up what is on it, however long that lasts', async t => {
  for (const job of [runningJob([HPI], { cluster_location: 'hpi' }), placedJob([HPI], { cluster_location: 'hpi' }), runningJob([HPI]), placedJob([HPI])]) {
    const away = stored(loseHpi(job))
    t.equal(dueAt(away, POLICY), null)
    t.equal(expireDeadlines(away, POLICY, 'system', minutesAfter(away.updated_at, 1e6)), undefined)
  }
})

t.test('a loss shows what is known of each instance, and leaves the others alone', async t => {
  const job = runningJob([HPI, TUM, HPI])
  const change = loseHpi(job)
  t.same(fields(change?.job, 'instance_number', 'cluster_id', 'status', 'status_reason', 'silent', 'location'), [
    [0, HPI, 'DEAD', 'hpi gives no sign of life', true, null],
    [0, '', 'REQUESTED', null, false, null],
    [1, TUM, 'RUNNING', null, false, null],
    [2, HPI, 'DEAD', 'hpi gives no sign of life', true, null],
    [2, '', 'REQUESTED', null, false, null]
  ])
  const now = change!.job.updated_at
  t.same(fields(change?.job, 'move'), [[null], [{ from: HPI, why: 'failover', since: now }], [null], [null], [{ from: HPI, why: 'failover', since: now }]])
  t.same(events(change), [
    'status 0 @hpi RUNNING>DEAD: instance 0 is DEAD: hpi gives no sign of life',
    'lost 0 @hpi: instance 0: hpi gives no sign of life',
    'status 2 @hpi RUNNING>DEAD: instance 2 is DEAD: hpi gives no sign of life',
    'lost 2 @hpi: instance 2: hpi gives no sign of life'
  ])
  const tied = loseHpi(runningJob([HPI], { cluster_location: 'hpi' }))
  t.same(fields(tied?.job, 'status_reason'), [['hpi gives no sign of life, and the descriptor pins it there']])
  t.equal(evicted(job, ETH, 'eth', 'system'), undefined)
})

t.test('an instance that is DEAD already shows that its cluster is silent', async t => {
  const change = loseHpi(stored(reported(runningJob([HPI], { cluster_location: 'hpi' }), HPI, 'DEAD')))
  t.same(fields(change?.job, 'status', 'status_reason', 'silent'), [['DEAD', 'hpi gives no sign of life, and the descriptor pins it there', true]])
})

t.test('an empty place, and where a descriptor says nothing, tie to nowhere', async t => {
  const free = runningJob([HPI], { cluster_location: 'hpi' })
  free.instance_list[0]!.location = ''
  t.same(fields(loseHpi(free)?.job, 'cluster_id', 'location'), [[HPI, ''], ['', '']])
})

t.test('what leaves a lost cluster already goes on leaving, and is not tied to there', async t => {
  const leaving = stored(movedTo(runningJob([HPI], { cluster_location: 'hpi' }), HPI))
  const change = loseHpi(leaving)
  t.same(entries(change?.job), [`0 ${HPI} DEAD`, `0 - REQUESTED from ${HPI}`])
  t.same(fields(change?.job, 'status_reason'), [['hpi gives no sign of life'], [null]])
  t.match(change?.job.instance_list[1]?.move, { why: 'asked' })
  t.equal(loseHpi(stored(movedTo(runningJob([HPI]), HPI)))?.job.instance_list.length, 2, 'one successor is enough')
})

t.test('an instance on its way to a lost cluster is placed anew and shows why, and that cluster has to remove it', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([TUM]), TUM, { location: 'hpi' })), { 0: HPI }))
  const change = loseHpi(moving)
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason', 'silent'), [[TUM, 'RUNNING', null, false], ['', 'REQUESTED', 'hpi gives no sign of life', false]])
  t.same(commands(change), [`delete ${HPI}`])
})

t.test('a cluster that is back speaks for its own instances again', async t => {
  const away = stored(
    evicted(stored(loseHpi(runningJob([HPI, TUM, HPI], { cluster_location: 'x' }))), TUM, 'tum', 'system')
  )
  const back = recovered(away, HPI, 'hpi', 'system')
  t.same(fields(back?.job, 'status', 'silent'), [['NODE_SCHEDULED', false], ['DEAD', true], ['NODE_SCHEDULED', false]])
  t.same(events(back), [0, 2].flatMap(number => [
    `status ${number} @hpi DEAD>NODE_SCHEDULED: instance ${number} is NODE_SCHEDULED: hpi is back and has not reported yet`,
    `recovered ${number} @hpi: instance ${number}: hpi is back`
  ]))
  t.equal(recovered(stored(back), HPI, 'hpi', 'system'), undefined)
})

t.test('a report that comes before the return was noticed counts', async t => {
  const heard = stored(reported(stored(loseHpi(runningJob([HPI], { cluster_location: 'x' }))), HPI, 'RUNNING'))
  t.same(fields(heard, 'status', 'silent'), [['RUNNING', false]])
  t.equal(recovered(heard, HPI, 'hpi', 'system'), undefined)
})

t.test('a deleted cluster gets no command, the others go on', async t => {
  const change = forgotten(runningJob([HPI, TUM, HPI]), HPI, 'user')
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason'), [['', 'REQUESTED', 'its cluster was deleted'], [TUM, 'RUNNING', null], ['', 'REQUESTED', 'its cluster was deleted']])
  t.same(commands(change), [])
  t.same(change?.job.retiring, [])
  t.same(events(change), [0, 2].map(number => `status ${number} @hpi RUNNING>REQUESTED: instance ${number} is REQUESTED: its cluster was deleted`))
})

t.test('what a deleted cluster had to remove counts as removed, what others have to remove does not', async t => {
  const leaving = stored(undeploying(runningJob([HPI, TUM]), 'user'))
  const change = forgotten(leaving, HPI, 'user')
  t.same(change?.job.retiring.map(entry => entry.cluster_id), [TUM])
  t.same(events(change), ['retired @hpi: the cluster was deleted'])
  t.not(change?.job.status, 'UNDEPLOYED')
})

t.test('an acknowledgement ends the wait for its own removal only', async t => {
  const change = movedTo(runningJob([HPI, TUM]), HPI, { from: new Set([HPI, TUM]), location: null, order: 'stop-first' })
  t.same(fields(acknowledged(stored(change), HPI, sent(change).command_id)?.job, 'awaits'), [[null], [sent(change, 1).command_id]])
})
