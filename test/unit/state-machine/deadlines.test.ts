import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import { refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { forgotten, lost } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { detailed, reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { missing } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import { moved } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { commands, entries, ETH, eventTypes, HPI, placedJob, placedOn, POLICY, runningJob, sent, stored, TUM, updated } from './sample.js'

/** What happens to a job at the moment that it is due. */
const atDue = (job: Job) => expireDeadlines(job, POLICY, 'system', new Date(dueAt(job, POLICY)!))

t.test('each status that is to pass has its deadline, and one that may stay has none', async t => {
  const job = placedJob([HPI])
  const after = (status: Parameters<typeof reported>[2]) => {
    const told = stored(reported(job, HPI, status))
    const due = dueAt(told, POLICY)
    return due && Date.parse(due) - Date.parse(told.instance_list[0]!.status_since)
  }
  t.same((['NODE_SCHEDULED', 'CREATED', 'DEPLOYED', 'FAILED', 'DEAD', 'NO_NODE_FOUND', 'RUNNING', 'COMPLETED'] as const).map(after),
    [POLICY.scheduledMs, POLICY.startingMs, POLICY.startingMs, POLICY.stoppedMs, POLICY.stoppedMs, POLICY.stoppedMs, null, null])
})

t.test('before its deadline nothing happens', async t => {
  const job = placedJob([HPI])
  t.equal(expireDeadlines(job, POLICY, 'system', new Date(Date.parse(dueAt(job, POLICY)!) - 1)), undefined)
})

t.test('what does not start is tried elsewhere, and its cluster told to remove it', async t => {
  const change = atDue(placedJob([HPI]))
  t.same(entries(change?.job), ['0 - REQUESTED'])
  t.match(change?.job.instance_list[0], { attempts: 1, refusals: [{ cluster_id: HPI, error: /was CLUSTER_SCHEDULED since/ }] })
  t.same(commands(change), [`delete ${HPI}`])
  t.ok(eventTypes(change).includes('retried'))
  t.equal(dueAt(change!.job, POLICY), null)
})

t.test('in the end it is left FAILED with its story, and shows should it run there after all', async t => {
  let job = placedJob([HPI])
  for (let attempt = 1; attempt < POLICY.maxAttempts; attempt++) job = stored(placedOn(stored(atDue(job)), { 0: [TUM, ETH, HPI][attempt % 3]! }))
  const change = atDue(job)
  t.match(change?.job, { status: 'FAILED', status_reason: new RegExp(`^given up after ${POLICY.maxAttempts} starts: .*${TUM} was .*; `) })
  t.equal(dueAt(change!.job, POLICY), null, 'it is due no more')
  const last = change!.job.instance_list[0]!.cluster_id
  t.match(stored(reported(stored(change), last, 'RUNNING')), { status: 'RUNNING', instance_list: [{ attempts: 0 }] })
})

/** A job of one instance that no cluster could start. */
function givenUpJob (): Job {
  let job = placedJob([HPI])
  for (let attempt = 1; attempt < POLICY.maxAttempts; attempt++) job = stored(placedOn(stored(atDue(job)), { 0: attempt % 2 ? TUM : HPI }))
  return stored(atDue(job))
}

t.test('what was given up is not changed by what its cluster says, does or lacks, but for RUNNING and COMPLETED', async t => {
  const job = givenUpJob()
  const [{ cluster_id: at, instance_number: number }] = job.instance_list as [Job['instance_list'][number]]
  for (const told of ['NODE_SCHEDULED', 'CREATING', 'CREATED', 'DEPLOYED', 'DEAD', 'FAILED', 'NO_NODE_FOUND', 'UNDEPLOYED'] as const) {
    t.equal(reported(job, at, told), undefined, told)
  }
  const result = detailed(job, { job_id: job.id, instances: [{ instance_number: number, host_ip: '10.0.0.1', host_port: 1 }] }, at)
  t.match(result?.job, { status: 'FAILED', instance_list: [{ given_up: true, host_ip: '10.0.0.1' }] })
  t.equal(lost(job, at, 'hpi', 'system'), undefined)
  t.equal(missing(job, at), undefined)
  t.equal(expireDeadlines(job, POLICY, 'system', new Date(Date.now() + 1e9)), undefined)
  for (const told of ['RUNNING', 'COMPLETED'] as const) {
    t.match(stored(reported(job, at, told)), { status: told, instance_list: [{ given_up: false }] }, told)
  }
})

t.test('what runs after it was given up and stops again has all its starts again', async t => {
  const job = givenUpJob()
  const at = job.instance_list[0]!.cluster_id
  const stopped = stored(reported(stored(reported(job, at, 'RUNNING')), at, 'FAILED'))
  t.match(atDue(stopped)?.job.instance_list, [{ status: 'REQUESTED', attempts: 1, given_up: false }])
})

t.test('a user starts what was given up afresh: another descriptor, a move, a deleted cluster', async t => {
  const job = givenUpJob()
  const at = job.instance_list[0]!.cluster_id
  const mended = stored(updated(job, { image: 'mended' }))
  t.match(mended.instance_list, [{ status: 'CLUSTER_SCHEDULED', attempts: 0, given_up: false, refusals: [] }])
  t.not(dueAt(mended, POLICY), null, 'it has a deadline again')
  const moving = stored(moved(job, { from: new Set([at]), location: ETH, why: 'asked', order: 'stop-first' }, 'user'))
  t.match(moving.instance_list, [{ status: 'REQUESTED', cluster_id: '', given_up: false }])
  t.match(stored(forgotten(job, at, 'user')).instance_list, [{ status: 'REQUESTED', cluster_id: '', given_up: false }])
})

t.test('a refused removal is asked for again, as it is meant by then', async t => {
  const change = scaled(runningJob([HPI, HPI]), 1, 'user')
  const job = stored(refused(stored(change), HPI, sent(change), 'busy'))
  const again = atDue(job)
  t.same(commands(again), [`deploy ${HPI}`], 'the one that stays is still listed')
  t.match(again?.job.retiring, [{ error: null, command_id: sent(again).command_id }])
  t.equal(dueAt(again!.job, POLICY), null)
})

t.test('so is that of a job that is being removed', async t => {
  const change = undeploying(runningJob([HPI]), 'user')
  t.same(commands(atDue(stored(refused(stored(change), HPI, sent(change), 'busy')))), [`delete ${HPI}`])
})
