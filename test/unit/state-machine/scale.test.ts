import t from 'tap'
import { acknowledged } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { effective } from '../../../services/job-lifecycle/state-machine/instances.js'
import {
  commands,
  entries,
  events,
  fields,
  HPI,
  movedTo,
  placedJob,
  runningJob,
  sent,
  stored,
  TUM,
  updated,
  reported
} from './sample.js'

t.test('fewer replicas retire the highest numbers, which keep their addresses until the cluster has confirmed', async t => {
  const job = placedJob([HPI, HPI, TUM])
  const change = updated(job, { replicas: 1 })
  t.same(commands(change), [`replicate ${HPI} 1`, `delete ${TUM}`])
  t.same(change?.job.instance_list.map(({ instance_number }) => instance_number), [0])
  t.same(change?.job.retiring.map(({ cluster_id, instances }) => [cluster_id, instances]), [
    [HPI, [{ instance_number: 1, instance_ip: job.instance_list[1]?.instance_ip }]],
    [TUM, [{ instance_number: 2, instance_ip: job.instance_list[2]?.instance_ip }]]
  ])
  const after = stored(acknowledged(stored(change), TUM, sent(change, 1).command_id))
  t.same(after.retiring.map(({ cluster_id }) => cluster_id), [HPI])
})

t.test('more instances take the lowest free numbers and are placed like any other', async t => {
  const job = stored(scaled(stored(reported(placedJob([HPI, TUM]), TUM, 'RUNNING')), 1, 'user'))
  t.same(entries(job), [`1 ${TUM} RUNNING`], 'what does not run went first')
  t.same(entries(scaled(job, 3, 'user')?.job), ['0 - REQUESTED', `1 ${TUM} RUNNING`, '2 - REQUESTED'])
})

t.test('a job is scaled to nothing and back', async t => {
  const change = scaled(runningJob([HPI, TUM]), 0, 'user')
  t.same(commands(change), [`delete ${HPI}`, `delete ${TUM}`])
  t.match(change?.job, { status: 'COMPLETED', status_reason: 'scaled to 0 instances', due_at: null })
  t.same(entries(scaled(stored(change), 1, 'user')?.job), ['0 - REQUESTED'])
  t.equal(scaled(stored(change), 0, 'user'), undefined)
})

t.test('an instance that leaves takes its move along', async t => {
  const moving = stored(movedTo(runningJob([HPI]), HPI))
  t.same(entries(scaled(moving, 0, 'user')?.job), [])
})

t.test('scaling during an update keeps those that stand in', async t => {
  const rollout = { max_surge: 1, max_unavailable: 0 }
  const updating = stored(updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout }))
  t.equal(updating.instance_list.length, 3)
  t.equal(scaled(updating, 4, 'user')?.job.instance_list.length, 5)
  t.same(scaled(updating, 1, 'user')?.job.instance_list.map(({ instance_number }) => instance_number), [0, 1])
})

t.test('scaling shows what was and what is, and which instances leave', async t => {
  const fewer = scaled(runningJob([HPI, HPI, HPI, TUM]), 1, 'user')
  t.same(events(fewer), ['scaled: 1 instance instead of 4', 'retiring @hpi: hpi is to remove 2 instances', 'retiring @tum: tum is to remove instance 3'])
  const more = scaled(runningJob([HPI]), 3, 'user')
  t.same(events(more), ['scaled: 3 instances instead of 1'])
  t.same(fields(more?.job, 'instance_number', 'cluster_id', 'status', 'generation'), [[0, HPI, 'RUNNING', 1], [1, '', 'REQUESTED', 1], [2, '', 'REQUESTED', 1]])
  t.match(more?.events, [{ cause: 'user' }])
})

t.test('a job that is well shows no reason', async t => {
  t.match(runningJob([HPI, TUM]), { status: 'RUNNING', status_reason: null })
})

t.test('instances stand in order of their numbers, in the list and in what the status counts', async t => {
  const job = stored(scaled(stored(scaled(runningJob([HPI, TUM, HPI]), 1, 'user')), 4, 'user'))
  t.same(job.instance_list.map(({ instance_number: number }) => number), [0, 1, 2, 3])
  const moving = stored(movedTo(runningJob([HPI, TUM, HPI]), HPI))
  t.same(effective(moving).map(({ instance_number: number }) => number), [0, 1, 2])
  t.same(effective({ ...moving, instance_list: moving.instance_list.toReversed() }).map(({ instance_number: number }) => number), [0, 1, 2])
})
