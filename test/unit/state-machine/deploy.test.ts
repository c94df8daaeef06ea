import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { commands, entries, HPI, placedJob, runningJob, sampleDescriptor, sent, stored, TUM, updated } from './sample.js'

t.test('a new job asks for one address for the service and one for each instance, and commands nothing yet', async t => {
  const change = created(sampleDescriptor({ replicas: 3 }), 'user')
  t.equal(change.job.status, 'REQUESTED')
  t.same(change.job.service_ip_list, [{ IpType: 'RR', Address: '' }])
  t.same(change.job.instance_list.map(({ instance_number, instance_ip, cluster_id }) => [instance_number, instance_ip, cluster_id]), [[0, '', ''], [1, '', ''], [2, '', '']])
  t.same(change.commands, [])
  t.match(change.events, [{ type: 'deployed', cause: 'user' }])
})

t.test('the address wished for is asked for', async t => {
  t.same(created(sampleDescriptor({ RR_ip: '172.30.9.9' }), 'user').job.service_ip_list, [{ IpType: 'RR', Address: '172.30.9.9' }])
})

t.test('the same descriptor again changes nothing', async t => {
  t.equal(updated(placedJob([HPI], { replicas: 1 }), { replicas: 1 }), undefined)
})

t.test('a cluster that no longer matches the descriptor is told to delete, and the instance takes its address along', async t => {
  const job = placedJob([HPI])
  const change = updated(job, { replicas: 1, cluster_location: 'tum' }, () => false)
  t.same(commands(change), [`delete ${HPI}`])
  t.match(change?.job.instance_list[0], { cluster_id: '', status: 'REQUESTED', instance_ip: job.instance_list[0]?.instance_ip })
  t.match(change?.job.retiring, [{ cluster_id: HPI }])
})

t.test('undeploying tells every cluster, and ends in UNDEPLOYED without addresses when all have confirmed', async t => {
  const job = placedJob([HPI, TUM])
  const change = undeploying(job, 'user')
  t.same(commands(change), [`delete ${HPI}`, `delete ${TUM}`])
  t.equal(undeploying(stored(change), 'user'), undefined, 'asking again changes nothing')
  t.equal(reported(stored(change), HPI, 'FAILED'), undefined, 'a late report changes nothing')
  const half = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.not(half.status, 'UNDEPLOYED')
  t.equal(half.service_ip_list.length, 1)
  t.equal(acknowledged(half, HPI, sent(change).command_id), undefined, 'a repeated acknowledgement changes nothing')
  const whole = stored(acknowledged(half, TUM, sent(change, 1).command_id))
  t.match(whole, { status: 'UNDEPLOYED', service_ip_list: [], instance_list: [], retiring: [] })
})

t.test('undeploying what is nowhere ends at once', async t => {
  t.equal(undeploying(stored(created(sampleDescriptor(), 'user')), 'user')?.job.status, 'UNDEPLOYED')
})

t.test('a refused delete is shown, and asked for again when the user asks again', async t => {
  const change = undeploying(placedJob([HPI]), 'user')
  const after = stored(refused(stored(change), HPI, sent(change), 'busy'))
  t.match(after.status_reason, /refused: busy/)
  const again = undeploying(after, 'user')
  t.same(commands(again), [`delete ${HPI}`])
  t.not(again?.commands[0]?.command_id, sent(change).command_id)
  t.equal(stored(acknowledged(stored(again), HPI, sent(again).command_id)).status, 'UNDEPLOYED')
})

t.test('what runs on a cluster that no longer matches is started elsewhere first, under its address', async t => {
  const job = runningJob([HPI])
  const change = updated(job, { cluster_location: 'tum' }, () => false)
  t.same(commands(change), [])
  t.same(entries(change?.job), [`0 ${HPI} RUNNING`, `0 - REQUESTED from ${HPI}`])
  t.equal(change?.job.instance_list[1]?.instance_ip, job.instance_list[0]?.instance_ip)
})

t.test('an update that lets instances stay calls off the moves that the one before it began', async t => {
  const leaving = stored(updated(runningJob([HPI]), { cluster_location: 'tum' }, () => false))
  t.same(entries(updated(leaving, { cluster_location: 'hpi' })?.job).length, 1)
})

t.test('another service address does not end an update that is under way', async t => {
  const updating = stored(updated(runningJob([HPI, TUM]), { image: 'nginx:2' }))
  const change = updated(updating, { image: 'nginx:2', RR_ip: '172.30.9.9' })
  t.same(change?.job.instance_list.map(({ generation }) => generation), [3, 1])
  t.ok(change?.job.rollout)
})

t.test('ten descriptors are kept to go back to', async t => {
  let job = placedJob([HPI])
  for (let version = 2; version < 15; version++) job = stored(updated(job, { image: `nginx:${version}` }))
  t.same(job.revisions.map(({ generation }) => generation), [13, 12, 11, 10, 9, 8, 7, 6, 5, 4])
})
