import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import { refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { commands, entries, ETH, eventTypes, HPI, placedJob, placedOn, POLICY, runningJob, sent, stored, TUM } from './sample.js'

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

t.test('what was given up and begins again has a deadline again', async t => {
  let job = placedJob([HPI])
  for (let attempt = 1; attempt < POLICY.maxAttempts; attempt++) job = stored(placedOn(stored(atDue(job)), { 0: attempt % 2 ? TUM : HPI }))
  const givenUp = stored(atDue(job))
  const begun = stored(reported(givenUp, givenUp.instance_list[0]!.cluster_id, 'CREATED'))
  t.equal(stored(atDue(begun)).status, 'FAILED')
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
