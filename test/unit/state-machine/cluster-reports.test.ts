import t from 'tap'
import type { Command } from '../../../schemas/channel.js'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { detailed, reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { commands, entries, HPI, placedJob, placedOn, runningJob, sent, stored, TUM, updated } from './sample.js'

t.test('reports count for the instances of that cluster only', async t => {
  const change = reported(placedJob([HPI, TUM]), TUM, 'RUNNING')
  t.same(change?.job.instance_list.map(({ status }) => status), ['CLUSTER_SCHEDULED', 'RUNNING'])
  t.equal(change?.job.status, 'CLUSTER_SCHEDULED')
  t.equal(reported(stored(change), TUM, 'CREATED'), undefined, 'a late report changes nothing')
  t.equal(reported(stored(change), TUM, 'RUNNING'), undefined, 'a repeated report changes nothing')
})

t.test('details are matched by instance number, and only from the cluster that has the instance', async t => {
  const job = placedJob([HPI, TUM])
  const body = { job_id: job.id, instances: [{ instance_number: 1, namespace_ip: '10.0.0.2', host_ip: '192.168.1.2', host_port: 50103 }] }
  const change = detailed(job, body, TUM)
  t.match(change?.job.instance_list[1], { namespace_ip: '10.0.0.2', host_ip: '192.168.1.2', host_port: '50103', status: 'DEPLOYED' })
  t.match(change?.job.instance_list[0], { namespace_ip: '', status: 'CLUSTER_SCHEDULED' })
  t.equal(detailed(job, body, HPI), undefined, 'not its instance')
  t.equal(detailed(stored(change), body, TUM), undefined, 'repeated')
  t.match(detailed(job, body)?.job.instance_list[1], { host_ip: '192.168.1.2' }, 'over HTTP the sender is not known')
})

t.test('a cluster without room loses the instance to the next one, any other refusal is shown as FAILED', async t => {
  const job = placedJob([HPI])
  const command: Command = { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }
  const full = refused(job, HPI, command, 'NO_WORKER_CAPACITY: 3 MB free')
  t.match(full?.job.instance_list[0], { cluster_id: '', status: 'NO_WORKER_CAPACITY', refusals: [{ cluster_id: HPI }] })
  const broken = refused(job, HPI, command, 'image not found')
  t.match(broken?.job, { status: 'FAILED', status_reason: 'the cluster refused: image not found' })
  t.equal(broken?.job.instance_list[0]?.cluster_id, HPI)
})

t.test('a cluster that runs some already speaks for one more only when it has taken the command', async t => {
  const change = placedOn(stored(scaled(runningJob([HPI]), 2, 'user')), { 1: HPI })
  t.equal(reported(stored(change), HPI, 'RUNNING'), undefined, 'that is about instance 0')
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.same(entries(stored(reported(taken, HPI, 'RUNNING'))), [`0 ${HPI} RUNNING`, `1 ${HPI} RUNNING`])
})

t.test('a refusal concerns the instances that the command brought, not those that run', async t => {
  const change = placedOn(stored(scaled(runningJob([HPI]), 2, 'user')), { 1: HPI })
  const after = refused(stored(change), HPI, sent(change), 'NO_WORKER_CAPACITY')
  t.same(entries(after?.job), [`0 ${HPI} RUNNING`, '1 - NO_WORKER_CAPACITY'])
  t.same(commands(after), [`replicate ${HPI} 1`], 'a later command on its way may list it still')
})

t.test('the refusal of an update leaves those alone whose turn had not come', async t => {
  const change = updated(runningJob([HPI, HPI]), { image: 'nginx:2', rollout: { auto_rollback: false } })
  const after = refused(stored(change), HPI, sent(change), 'boom')
  t.same(entries(after?.job), [`0 ${HPI} FAILED`, `1 ${HPI} RUNNING`])
  t.equal(reported(stored(after), HPI, 'RUNNING'), undefined, 'what runs there is not what it was told to run')
})

t.test('a late refusal of a command that another has overtaken changes no instance', async t => {
  const job = placedJob([HPI])
  const newer = stored(updated(job, { image: 'nginx:2' }))
  const change = refused(newer, HPI, { seq: 1, command_id: 'older', kind: 'deploy', job_id: job.id }, 'boom')
  t.same(change?.job.instance_list, newer.instance_list)
  t.same(commands(change), [])
})
