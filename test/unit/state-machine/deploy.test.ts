import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { unplaceable } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import {
  commands,
  entries,
  ETH,
  events,
  fields,
  HPI,
  movedTo,
  placedJob,
  placedOn,
  POLICY,
  runningJob,
  sampleDescriptor,
  sent,
  stored,
  TUM,
  updated,
  reported
} from './sample.js'

t.test('a new job asks for one address for the service and one for each instance, and commands nothing yet', async t => {
  const change = created(sampleDescriptor({ replicas: 3 }), 'user')
  t.equal(change.job.status, 'REQUESTED')
  t.same(change.job.service_ip_list, [{ IpType: 'RR', Address: '' }])
  t.same(change.job.instance_list.map(({ instance_number, instance_ip, cluster_id }) => [instance_number, instance_ip, cluster_id]), [[0, '', ''], [1, '', ''], [2, '', '']])
  t.same(change.commands, [])
  t.match(change.job, { generation: 1, fence: 0, revision: 0 })
  t.same(fields(change.job, 'generation', 'status', 'status_reason'), Array(3).fill([1, 'REQUESTED', null]))
  t.same(events(change), ['deployed: demo.default.service1.test was deployed, 3 instances'])
  t.match(change.events, [{ cause: 'user' }])
})

t.test('the address in the descriptor is the one to lease', async t => {
  t.same(created(sampleDescriptor({ RR_ip: '172.30.9.9' }), 'user').job.service_ip_list, [{ IpType: 'RR', Address: '172.30.9.9' }])
})

t.test('the same descriptor again changes nothing', async t => {
  t.equal(updated(placedJob([HPI], { replicas: 1 }), { replicas: 1 }), undefined)
})

t.test('a cluster that no longer matches the descriptor gets a delete, and the instance keeps its address', async t => {
  const job = placedJob([HPI])
  const change = updated(job, { replicas: 1, cluster_location: 'tum' }, () => false)
  t.same(commands(change), [`delete ${HPI}`])
  t.match(change?.job.instance_list[0], { cluster_id: '', status: 'REQUESTED', instance_ip: job.instance_list[0]?.instance_ip })
  t.match(change?.job.retiring, [{ cluster_id: HPI }])
})

t.test('undeploying commands every cluster, and ends in UNDEPLOYED without addresses when all have confirmed', async t => {
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

t.test('a refused delete shows, and is sent again when the user asks again', async t => {
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

/** Of four instances one runs, one has failed before, one was given up and one finds no place. */
function troubledJob () {
  const job = stored(unplaceable(stored(scaled(placedJob([HPI, TUM, ETH]), 4, 'user')), 'NoActiveClusterWithCapacity', null, 'scheduler'))
  const refusals = [{ cluster_id: HPI, at: job.created_at, error: 'full' }]
  Object.assign(job.instance_list[0]!, { status: 'RUNNING' })
  Object.assign(job.instance_list[1]!, { attempts: 3, refusals })
  Object.assign(job.instance_list[2]!, { status: 'FAILED', given_up: true, attempts: POLICY.maxAttempts, refusals })
  Object.assign(job.instance_list[3]!, { attempts: 1, refusals })
  return job
}

t.test('a corrected descriptor, or another number of instances in it, starts all afresh that had trouble', async t => {
  const afresh = [[0, [], false], [0, [], false], [0, [], false], [0, [], false]]
  const corrected = updated(troubledJob(), { image: 'nginx:2', rollout: { max_unavailable: 4 } })
  t.same(fields(corrected?.job, 'attempts', 'refusals', 'given_up'), afresh)
  t.same(fields(corrected?.job, 'cluster_id', 'status', 'generation', 'status_reason').slice(3), [['', 'REQUESTED', 2, null]])
  t.ok(events(corrected).includes('status 3 NoActiveClusterWithCapacity>REQUESTED: instance 3 is REQUESTED'))
  const more = updated(troubledJob(), { replicas: 5 })
  t.same(fields(more?.job, 'attempts', 'refusals', 'given_up'), [...afresh, [0, [], false]])
  t.same(fields(more?.job, 'status'), [['RUNNING'], ['CLUSTER_SCHEDULED'], ['FAILED'], ['REQUESTED'], ['REQUESTED']])
})

t.test('what has no place yet waits for it once, not once for each deploy', async t => {
  const job = stored(created(sampleDescriptor(), 'user'))
  t.same(events(updated(job, { image: 'nginx:2' })), ['updated: generation 2', 'rolled_out: generation 2 is rolled out'])
})

t.test('only what the descriptor says counts: a number of instances or an address more is no update', async t => {
  const job = runningJob([HPI, TUM])
  t.equal(updated(job, {}), undefined, 'replicas that are not named stay')
  const address = updated(job, { RR_ip: '172.30.9.9' })
  t.match(address?.job, { generation: 2, rollout: null, replicas: 2, service_ip_list: [{ IpType: 'RR', Address: '172.30.9.9' }], revisions: [{ generation: 1, cause: 'user' }] })
  t.same(fields(address?.job, 'status', 'generation'), [['RUNNING', 2], ['RUNNING', 2]])
  t.same(events(address), ['updated: generation 2'])
  t.equal(updated(stored(address), {}), undefined, 'an address that is not named stays')
  const fewer = updated(job, { replicas: 1 })
  t.match(fewer?.job, { generation: 1, rollout: null, revisions: [], replicas: 1 })
  t.same(events(fewer), ['updated: generation 1, 1 instance instead of 2', 'retiring @tum: tum is to remove instance 1'])
})

t.test('an update after a move keeps the place that the user moved it to, until the descriptor names another', async t => {
  const job = stored(movedTo(runningJob([HPI], { cluster_location: 'hpi' }), HPI, { order: 'stop-first' }))
  job.instance_list[0]!.awaits = null
  const there = stored(reported(stored(placedOn(job, { 0: TUM })), TUM, 'RUNNING'))
  there.retiring = []
  t.same(fields(there, 'cluster_id', 'location'), [[TUM, 'tum']])
  t.same(fields(updated(there, { cluster_location: 'hpi', image: 'nginx:2' })?.job, 'cluster_id', 'location'), [[TUM, 'tum']])
  const elsewhere = updated(there, { cluster_location: 'eth' }, () => false)
  t.same(fields(elsewhere?.job, 'cluster_id', 'location'), [[TUM, null], ['', null]])
  t.same(fields(updated(there, { image: 'nginx:2' })?.job, 'cluster_id', 'location'), [[TUM, null]], 'nor one that names none any more')
})

t.test('an update to another place moves what runs, places the rest anew, and leaves what may stay', async t => {
  const job = stored(reported(stored(reported(placedJob([HPI, TUM, ETH, ETH]), HPI, 'RUNNING')), ETH, 'RUNNING'))
  const change = updated(job, { cluster_location: 'eth' }, id => id === ETH)
  const now = change!.job.updated_at
  t.same(fields(change?.job, 'instance_number', 'cluster_id', 'status', 'status_reason', 'generation', 'move'), [
    [0, HPI, 'RUNNING', null, 1, null],
    [0, '', 'REQUESTED', null, 2, { from: HPI, why: 'update', since: now }],
    [1, '', 'REQUESTED', 'its cluster no longer matches the descriptor', 2, null],
    [2, ETH, 'RUNNING', null, 1, null],
    [3, ETH, 'RUNNING', null, 1, null]
  ])
  t.same(commands(change), [`delete ${TUM}`])
})

t.test('a move by a user cannot fail any more when the new descriptor no longer allows its source', async t => {
  const change = updated(stored(movedTo(runningJob([HPI]), HPI)), { cluster_location: 'tum' }, () => false)
  t.match(change?.job.instance_list, [{ cluster_id: HPI }, { cluster_id: '', location: null, move: { from: HPI, why: 'update' } }])
  t.equal(change?.job.instance_list.length, 2)
  const drain = updated(stored(movedTo(runningJob([HPI]), HPI, { why: 'drain', location: null })), { cluster_location: 'tum' }, () => false)
  t.match(drain?.job.instance_list, [{ cluster_id: HPI }, { move: { from: HPI, why: 'drain' } }])
})

t.test('an update that lets instances stay calls off what an update began, not what a user or an operator did', async t => {
  for (const [why, left] of [['update', 1], ['asked', 2], ['drain', 2]] as const) {
    const job = stored(movedTo(runningJob([HPI]), HPI, { why }))
    t.equal(updated(job, { image: 'nginx:2' })?.job.instance_list.length, left, why)
  }
  const stillNot = stored(updated(runningJob([HPI]), { cluster_location: 'tum' }, () => false))
  t.same(entries(updated(stillNot, { cluster_location: 'eth' }, () => false)?.job), [`0 ${HPI} RUNNING`, `0 - REQUESTED from ${HPI}`])
  const there = updated(stored(placedOn(stillNot, { 0: TUM })), { cluster_location: 'munich' }, id => id === TUM)
  t.same(entries(there?.job), [`0 ${HPI} RUNNING`, `0 ${TUM} CLUSTER_SCHEDULED from ${HPI}`], 'what was begun for it goes on')
})

t.test('undeploying shows why the job is not gone yet, and ends an update', async t => {
  const job = stored(updated(runningJob([HPI]), { image: 'nginx:2' }))
  const change = undeploying(job, 'user')
  t.match(change?.job, { desired_state: 'undeployed', rollout: null, status_reason: 'being removed: its clusters have not confirmed yet', instance_list: [] })
  t.same(events(change), ['undeploying: demo.default.service1.test is being removed', 'retiring @hpi: hpi is to remove instance 0'])
  const end = acknowledged(stored(change), HPI, sent(change).command_id)
  t.same(events(end), ['retired @hpi: the cluster removed 1 instance', 'undeployed: demo.default.service1.test is gone, its addresses are free'])
  t.match(end?.job, { status: 'UNDEPLOYED', status_reason: null })
})

t.test('a repeated undeploy repeats the command only for clusters that refused', async t => {
  const change = undeploying(runningJob([HPI, TUM]), 'user')
  const after = stored(refused(stored(change), HPI, sent(change), 'busy'))
  t.match(after, { status_reason: 'being removed: the cluster refused: busy' })
  t.same(commands(undeploying(after, 'user')), [`delete ${HPI}`])
  t.same(undeploying(after, 'user')?.job.retiring.map(({ cluster_id: id, error }) => [id, error]), [[HPI, null], [TUM, null]])
})

t.test('a job that is being removed has no deadlines but those of its removals', async t => {
  const job = stored(undeploying(placedJob([HPI]), 'user'))
  t.equal(job.due_at, null)
  t.equal(expireDeadlines(job, POLICY, 'system', new Date(Date.now() + 1e9)), undefined)
})

t.test('the address stays in an update that names the same one or none', async t => {
  const job = runningJob([HPI], { RR_ip: '172.30.9.9' })
  t.equal(updated(job, { RR_ip: '172.30.9.9' }), undefined)
  t.same(updated(job, { image: 'nginx:2' })?.job.service_ip_list, [{ IpType: 'RR', Address: '172.30.9.9' }])
})
