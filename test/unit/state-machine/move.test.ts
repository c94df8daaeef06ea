import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { drainEnded } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { forgotten, lost } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { carriedOut, commands, entries, ETH, eventTypes, HPI, minutesAfter, movedTo, placedJob, placedOn, POLICY, runningJob, sent, stored, TUM } from './sample.js'

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
    acknowledged(job, HPI, sent(change).command_id), refused(job, HPI, sent(change), 'busy'), lost(job, HPI, 'hpi', 'system'), forgotten(job, HPI, 'user')
  ]) t.same(commands(placedOn(stored(after), { 0: TUM })), [`deploy ${TUM}`])
})

t.test('a move that does not end in its time leaves the source running and says why', async t => {
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

t.test('a move that was asked for cannot fail any more when its source is drained', async t => {
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
  const draining = stored(lost(stored(movedTo(runningJob([HPI]), HPI, drain)), HPI, 'hpi', 'system'))
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
