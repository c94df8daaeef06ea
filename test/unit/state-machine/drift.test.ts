import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { lingering, missing } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import {
  commands,
  entries,
  events,
  fields,
  HPI,
  placedJob,
  placedOn,
  runningJob,
  sent,
  stored,
  TUM,
  reported
} from './sample.js'

t.test('a cluster that does not report what it has begun with gets the command again', async t => {
  const change = missing(runningJob([HPI, TUM]), HPI)
  t.same(commands(change), [`deploy ${HPI}`])
  t.same(entries(change?.job), [`0 ${HPI} CLUSTER_SCHEDULED`, `1 ${TUM} RUNNING`])
})

t.test('what it has not begun with, refused or ended is left to its deadline', async t => {
  const job = placedJob([HPI])
  t.equal(missing(job, HPI), undefined)
  t.equal(missing(stored(refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, 'boom')), HPI), undefined)
  t.equal(missing(stored(reported(job, HPI, 'COMPLETED')), HPI), undefined)
})

t.test('a cluster that still reports what it has removed gets the removal again, once until it answers', async t => {
  const change = undeploying(runningJob([HPI]), 'user')
  const gone = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  const again = lingering(gone, HPI)
  t.same(commands(again), [`delete ${HPI}`])
  t.equal(lingering(stored(again), HPI), undefined)
  t.equal(acknowledged(stored(again), HPI, sent(again).command_id)?.job.retiring.length, 0)
  t.equal(again?.job.status, 'UNDEPLOYED')
})

t.test('a job that should run there, or is being removed, does not linger', async t => {
  t.equal(lingering(runningJob([HPI]), HPI), undefined)
  t.equal(lingering(stored(undeploying(runningJob([HPI]), 'user')), HPI), undefined)
  t.same(commands(lingering(stored(undeploying(runningJob([HPI]), 'user')), TUM)), [`delete ${TUM}`], 'another cluster is to remove it')
})

t.test('a job lives on while a cluster that should not have it removes it', async t => {
  const change = lingering(runningJob([HPI]), TUM)
  t.same(commands(change), [`delete ${TUM}`])
  t.equal(change?.job.status, 'RUNNING')
  t.equal(placedOn(stored(change), { 0: TUM }), undefined)
})

t.test('what is sent again is one event, for the cluster that lacks it or has it', async t => {
  const job = runningJob([HPI, TUM, HPI])
  const change = missing(job, HPI)
  const why = 'its cluster no longer reports it: the command was sent again'
  t.same(fields(change?.job, 'status', 'status_reason', 'awaits'), [['CLUSTER_SCHEDULED', why, null], ['RUNNING', null, null], ['CLUSTER_SCHEDULED', why, null]])
  t.same(events(change), [
    ...[0, 2].map(number => `status ${number} @hpi RUNNING>CLUSTER_SCHEDULED: instance ${number} is CLUSTER_SCHEDULED: ${why}`),
    'resent @hpi: the cluster no longer reports it: the command was sent again'
  ])
  t.same(events(lingering(runningJob([HPI]), TUM)), ['resent @tum: the cluster still reports it: the removal was sent again'])
  t.match(lingering(runningJob([HPI]), TUM)?.job.retiring, [
    { cluster_id: TUM, instances: [], error: null, original: false, told: null }
  ])
})

t.test('what awaits a command is not missing yet', async t => {
  const change = placedOn(stored(scaled(runningJob([HPI]), 2, 'user')), { 1: HPI })
  const job = stored(change)
  job.instance_list[1]!.status = 'CREATED'
  t.same(fields(missing(job, HPI)?.job, 'status'), [['CLUSTER_SCHEDULED'], ['CREATED']])
})

t.test('a job that is gone is gone once, also when its removal was sent again', async t => {
  const change = undeploying(runningJob([HPI]), 'user')
  const again = lingering(stored(acknowledged(stored(change), HPI, sent(change).command_id)), HPI)
  t.same(events(acknowledged(stored(again), HPI, sent(again).command_id)), ['retired @hpi: the cluster removed 0 instances'])
})
