import t from 'tap'
import type { Command } from '../../schemas/channel.js'
import type { JobChange } from '../../stores/store.js'
import { acknowledged, refused } from '../../services/job-lifecycle/decisions/answers.js'
import { created, undeploying, updated as updatedIn } from '../../services/job-lifecycle/decisions/deploy.js'
import { forgotten } from '../../services/job-lifecycle/decisions/loss.js'
import { placed, unplaceable, waiting } from '../../services/job-lifecycle/decisions/placement.js'
import { detailed, reported } from '../../services/job-lifecycle/decisions/reports.js'
import type { Descriptor } from '../../schemas/descriptor.js'
import type { Job } from '../../schemas/job.js'
import { HPI, placedJob, POLICY, sampleDescriptor, stored, TUM } from './sample.js'

const everywhere = () => true
const updated = (job: Job, descriptor: Descriptor, mayStay = everywhere, cause = 'user') => updatedIn(job, descriptor, { policy: POLICY, cause, mayStay })
const commands = (change: JobChange | undefined) => change?.commands.map(({ kind, cluster_id, replicas }) => [kind, cluster_id, replicas].filter(part => part !== undefined).join(' ')) ?? []
const sent = (change: JobChange | undefined, index = 0): Command => ({ seq: 1, ...change!.commands[index]! })
const verdict = (summary: string, outcome: 'waiting' | 'unplaceable' = 'unplaceable', decided_at = new Date().toISOString()) => ({ decided_at, outcome, summary, clusters: [], omitted: 0 })

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

t.test('placing commands one deploy per cluster', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 3 }), 'user'))
  const change = placed(job, {
    kind: 'placed',
    assignments: [{ instance_number: 0, cluster_id: HPI }, { instance_number: 1, cluster_id: TUM }, { instance_number: 2, cluster_id: HPI }],
    explanation: verdict('placed')
  }, 'scheduler')
  t.same(commands(change), [`deploy ${HPI}`, `deploy ${TUM}`])
  t.equal(change?.job.status, 'CLUSTER_SCHEDULED')
})

t.test('placing more on a cluster that has some tells it the new number', async t => {
  const job = placedJob([HPI])
  const grown = stored(updated(job, sampleDescriptor({ replicas: 2 }), everywhere, 'user'))
  const change = placed(grown, { kind: 'placed', assignments: [{ instance_number: 1, cluster_id: HPI }], explanation: verdict('placed') }, 'scheduler')
  t.same(commands(change), [`replicate ${HPI} 2`])
})

t.test('a placement that comes too late places nothing', async t => {
  const answer = { kind: 'placed' as const, assignments: [{ instance_number: 0, cluster_id: TUM }], explanation: verdict('placed') }
  t.equal(placed(placedJob([HPI]), answer, 'scheduler'), undefined, 'it has a cluster already')
  const gone = stored(undeploying(stored(created(sampleDescriptor(), 'user')), 'user'))
  t.equal(placed(gone, answer, 'scheduler'), undefined, 'it is undeployed')
})

t.test('instances that found no place while others did are told why', async t => {
  const job = stored(created(sampleDescriptor({ replicas: 2 }), 'user'))
  const change = placed(job, { kind: 'placed', assignments: [{ instance_number: 0, cluster_id: HPI }], failure: 'NoActiveClusterWithCapacity', explanation: verdict('placed 1 of 2') }, 'scheduler')
  t.equal(change?.job.status, 'NoActiveClusterWithCapacity')
  t.match(change?.job.status_reason, /instance 1: placed 1 of 2/)
})

t.test('a verdict is stored once, and again when its kind changes or its numbers are old', async t => {
  const job = stored(created(sampleDescriptor(), 'user'))
  const first = stored(unplaceable(job, 'TargetClusterNoCapacity', verdict('hpi: 0.2 cores free of 1 asked'), 'scheduler'))
  t.equal(first.status, 'TargetClusterNoCapacity')
  t.equal(first.status_reason, 'hpi: 0.2 cores free of 1 asked')
  t.equal(unplaceable(first, 'TargetClusterNoCapacity', verdict('hpi: 0.2 cores free of 1 asked'), 'scheduler'), undefined)
  t.equal(unplaceable(first, 'TargetClusterNoCapacity', verdict('hpi: 0.3 cores free of 1 asked'), 'scheduler'), undefined)
  t.equal(unplaceable(first, 'TargetClusterNotActive', verdict('hpi: silent'), 'scheduler')?.job.status, 'TargetClusterNotActive')
  const old = { ...first, explanation: verdict('hpi: 0.2 cores free of 1 asked', 'unplaceable', '2026-01-01T00:00:00.000Z') }
  t.match(unplaceable(old, 'TargetClusterNoCapacity', verdict('hpi: 0.3 cores free of 1 asked'), 'scheduler')?.job.status_reason, '0.3')
})

t.test('waiting for the figures of a cluster leaves the job REQUESTED and says what it waits for', async t => {
  const job = stored(created(sampleDescriptor(), 'user'))
  const change = waiting(job, verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler')
  t.match(change?.job, { status: 'REQUESTED', status_reason: 'hpi: no heartbeat yet' })
  t.equal(waiting(stored(change), verdict('hpi: no heartbeat yet', 'waiting'), 'scheduler'), undefined)
})

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

t.test('the same descriptor again changes nothing', async t => {
  t.equal(updated(placedJob([HPI], { replicas: 1 }), sampleDescriptor({ replicas: 1 }), everywhere, 'user'), undefined)
})

t.test('a new image is deployed where the instances are, and old reports do not count until it is acknowledged', async t => {
  const job = stored(reported(placedJob([HPI]), HPI, 'RUNNING'))
  const change = updated(job, sampleDescriptor({ replicas: 1, image: 'nginx:2' }), everywhere, 'user')
  t.same(commands(change), [`deploy ${HPI}`])
  t.match(change?.job, { generation: 2, status: 'CLUSTER_SCHEDULED' })
  t.equal(reported(stored(change), HPI, 'RUNNING'), undefined)
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.equal(stored(reported(taken, HPI, 'RUNNING')).status, 'RUNNING')
})

t.test('fewer replicas retire the highest numbers, which keep their addresses until the cluster has confirmed', async t => {
  const job = placedJob([HPI, HPI, TUM])
  const change = updated(job, sampleDescriptor({ replicas: 1 }), everywhere, 'user')
  t.same(commands(change), [`replicate ${HPI} 1`, `delete ${TUM}`])
  t.same(change?.job.instance_list.map(({ instance_number }) => instance_number), [0])
  t.same(change?.job.retiring.map(({ cluster_id, instances }) => [cluster_id, instances]), [
    [HPI, [{ instance_number: 1, instance_ip: job.instance_list[1]?.instance_ip }]],
    [TUM, [{ instance_number: 2, instance_ip: job.instance_list[2]?.instance_ip }]]
  ])
  const after = stored(acknowledged(stored(change), TUM, sent(change, 1).command_id))
  t.same(after.retiring.map(({ cluster_id }) => cluster_id), [HPI])
})

t.test('a cluster that no longer matches the descriptor is told to delete, and the instance takes its address along', async t => {
  const job = placedJob([HPI])
  const change = updated(job, sampleDescriptor({ replicas: 1, cluster_location: 'tum' }), () => false, 'user')
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

t.test('a cluster without room loses the instance to the next one, any other refusal is shown as FAILED', async t => {
  const job = placedJob([HPI])
  const command: Command = { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }
  const full = refused(job, HPI, command, 'NO_WORKER_CAPACITY: 3 MB free')
  t.match(full?.job.instance_list[0], { cluster_id: '', status: 'NO_WORKER_CAPACITY', refusals: [{ cluster_id: HPI }] })
  const broken = refused(job, HPI, command, 'image not found')
  t.match(broken?.job, { status: 'FAILED', status_reason: 'the cluster refused: image not found' })
  t.equal(broken?.job.instance_list[0]?.cluster_id, HPI)
})

t.test('a refused update leaves the instance where it runs, and goes back to the descriptor before', async t => {
  const change = updated(placedJob([HPI]), sampleDescriptor({ replicas: 1, image: 'nginx:2' }), everywhere, 'user')
  const after = refused(stored(change), HPI, sent(change), 'NO_WORKER_CAPACITY')
  t.match(after?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, instance_list: [{ cluster_id: HPI, generation: 3 }], rollout: { rollback: true } })
  t.same(commands(after), [`deploy ${HPI}`])
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

t.test('when a cluster is forgotten its instances are placed anew and its removals count as done', async t => {
  t.match(forgotten(placedJob([HPI]), HPI, 'user')?.job.instance_list[0], { cluster_id: '', status: 'REQUESTED' })
  const leaving = stored(undeploying(placedJob([HPI]), 'user'))
  t.equal(forgotten(leaving, HPI, 'user')?.job.status, 'UNDEPLOYED')
  t.equal(forgotten(leaving, TUM, 'user'), undefined)
})
