import t from 'tap'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { forgotten, lost, recovered } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { commands, entries, HPI, minutesAfter, movedTo, placedJob, placedOn, POLICY, runningJob, stored, TUM } from './sample.js'

const loseHpi = (job: Parameters<typeof lost>[0]) => lost(job, HPI, 'hpi', 'system')

t.test('when a cluster is forgotten its instances are placed anew and its removals count as done', async t => {
  t.match(forgotten(placedJob([HPI]), HPI, 'user')?.job.instance_list[0], { cluster_id: '', status: 'REQUESTED' })
  const leaving = stored(undeploying(placedJob([HPI]), 'user'))
  t.equal(forgotten(leaving, HPI, 'user')?.job.status, 'UNDEPLOYED')
  t.equal(forgotten(leaving, TUM, 'user'), undefined)
})

t.test('what a lost cluster runs is DEAD and started elsewhere, under its address, and nobody is told yet', async t => {
  const job = runningJob([HPI])
  const change = loseHpi(job)
  t.same(entries(change?.job), [`0 ${HPI} DEAD`, `0 - REQUESTED from ${HPI}`])
  t.same(change?.job.instance_list.map(({ instance_ip: address, silent }) => [address, silent]), [[job.instance_list[0]!.instance_ip, true], [job.instance_list[0]!.instance_ip, false]])
  t.same(commands(change), [])
  t.equal(loseHpi(stored(change)), undefined)
})

t.test('it goes nowhere where the descriptor ties it, unless failover is any or a move took it elsewhere', async t => {
  for (const pin of [{ cluster_location: 'hpi' }, { node: 'vm-1' }]) {
    const tied = loseHpi(runningJob([HPI], pin))
    t.same(entries(tied?.job), [`0 ${HPI} DEAD`])
    t.match(tied?.job.status_reason, /the descriptor ties it to there/)
    t.match(loseHpi(runningJob([HPI], { ...pin, failover: 'any' }))?.job.instance_list[1], { location: '', move: { why: 'failover' } })
  }
  const movedThere = runningJob([HPI])
  movedThere.instance_list[0]!.location = 'hpi'
  t.same(entries(loseHpi(movedThere)?.job), [`0 ${HPI} DEAD`])
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

t.test('a move that was asked for ends elsewhere when its source is lost and its time is over', async t => {
  const moving = stored(loseHpi(stored(movedTo(runningJob([HPI]), HPI))))
  t.match(moving.instance_list[1], { location: 'tum', move: { why: 'asked' } })
  const after = expireDeadlines(moving, POLICY, 'system', minutesAfter(moving.updated_at, 6))
  t.match(after?.job.instance_list[1], { location: null, move: { why: 'failover' } })
  t.equal(dueAt(after!.job, POLICY), null)
})

t.test('what has COMPLETED is not started again', async t => {
  t.equal(loseHpi(stored(reported(runningJob([HPI]), HPI, 'COMPLETED'))), undefined)
})

t.test('a cluster that is back has its instances count as begun until it tells, with a deadline', async t => {
  const back = recovered(stored(loseHpi(runningJob([HPI], { cluster_location: 'hpi' }))), HPI, 'hpi', 'system')
  t.match(back?.job.instance_list, [{ status: 'NODE_SCHEDULED', silent: false, status_reason: 'hpi is back and has not told yet' }])
  t.equal(dueAt(back!.job, POLICY), minutesAfter(back!.job.updated_at, 2).toISOString())
  t.equal(stored(reported(stored(back), HPI, 'RUNNING')).status, 'RUNNING')
})

t.test('a forgotten cluster leaves a moving instance to its successor', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const change = forgotten(moving, HPI, 'user')
  t.same(entries(change?.job), [`0 ${TUM} CLUSTER_SCHEDULED`])
  t.same(commands(change), [])
})
