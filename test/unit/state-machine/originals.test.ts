import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import type { Status } from '../../../schemas/status.js'
import { detailed } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import {
  acknowledged,
  refused,
  sending
} from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { registeredAs } from '../../../services/job-lifecycle/state-machine/decisions/cluster-kind.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { created, revived } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { missing, strayed } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import { forgotten } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import {
  reported,
  commands,
  entries,
  ETH,
  events,
  fields,
  HPI,
  movedTo,
  placedOn,
  POLICY,
  sampleDescriptor,
  sent,
  stored,
  TUM,
  updated
} from './sample.js'

/** Jobs on original clusters (contract section 10). */

const told = (job: Job, host: string) => ({
  job_id: job.id,
  instances: [{ instance_number: 0, host_ip: host, host_port: 50103 }]
})

/** A job with one instance on an original cluster, which said DEPLOYED of it. */
function deployedJob (clusterId = HPI): Job {
  const placed = stored(placedOn(stored(created(sampleDescriptor(), 'user')), { 0: clusterId }, undefined, true))
  return stored(detailed(placed, told(placed, '10.0.0.1')))
}

/** The job without its commands, deployed again on the cluster, which is given the command. */
function redeployed (gone: Job): Job {
  const change = placedOn(stored(revived(gone, sampleDescriptor(), 'user')), { 0: HPI }, undefined, true)
  return stored(sending(stored(change), HPI, sent(change).command_id))
}

/** The cluster has removed it. */
function undeployedJob (job = deployedJob()): Job {
  const change = undeploying(job, 'user')
  return stored(acknowledged(stored(change), HPI, sent(change).command_id))
}

t.test('DEPLOYED has no deadline, ends a move and an update', async t => {
  const job = deployedJob()
  t.equal(dueAt(job, POLICY), null)
  const moving = stored(placedOn(stored(movedTo(job, HPI)), { 0: TUM }, undefined, true))
  const moved = detailed(moving, told(moving, '10.0.0.2'), TUM)
  t.same(entries(moved?.job), [`0 ${TUM} DEPLOYED`])
  t.same(commands(moved), [`delete ${HPI}`])
})

t.test('an update is a delete, and once that is acknowledged a deploy with the time of the removal', async t => {
  const change = updated(deployedJob(), { image: 'nginx:2' })
  t.same(commands(change), [`delete ${HPI}`])
  t.same(fields(change?.job, 'cluster_id', 'status', 'generation'), [[HPI, 'CLUSTER_SCHEDULED', 2]])
  t.match(change?.job.retiring, [{ cluster_id: HPI, instances: [], original: true, told: 'DEPLOYED' }])
  const at = new Date('2030-01-31T12:00:00.000Z')
  const taken = acknowledged(stored(change), HPI, sent(change).command_id, at)
  t.match(taken?.commands, [{ kind: 'deploy', cluster_id: HPI, removed_at: at.toISOString() }])
  t.equal(taken?.commands.length, 1)
  t.same(taken?.job.removals, [{ cluster_id: HPI, at: at.toISOString(), told: 'DEPLOYED' }])
  t.same(taken?.job.retiring, [])
  t.same(fields(taken?.job, 'host_ip', 'host_port', 'told', 'awaits'), [['', null, null, sent(taken).command_id]])
  t.equal(
    detailed(stored(taken), told(stored(taken), '10.0.0.1')),
    undefined,
    'a late result is about the earlier one'
  )
  t.equal(reported(stored(taken), HPI, 'DEPLOYED'), undefined)
  const word = reported(stored(taken), HPI, 'FAILED')
  t.match(word?.job.removals, [{ told: 'FAILED' }], 'so is what it says before it is sent the new one')
  t.same(fields(word?.job, 'status'), [['CLUSTER_SCHEDULED']])
  const done = stored(sending(stored(taken), HPI, sent(taken).command_id))
  t.same(fields(done, 'awaits'), [[null]])
  t.equal(sending(done, HPI, sent(taken).command_id), undefined, 'once')
  t.equal(reported(done, HPI, 'DEPLOYED'), undefined, 'that is about the earlier one')
  const up = detailed(done, told(done, '10.0.0.1'))
  t.same(fields(up?.job, 'status', 'host_port'), [['DEPLOYED', 50103]])
  t.equal(up?.job.rollout, null)
  t.same(events(up).at(-1), 'rolled_out: generation 2 is rolled out')
})

t.test('a result that comes before the deploy is acknowledged is not lost', async t => {
  const change = updated(deployedJob(), { image: 'nginx:2' })
  const taken = acknowledged(stored(change), HPI, sent(change).command_id)
  const given = stored(sending(stored(taken), HPI, sent(taken).command_id))
  const early = stored(detailed(given, told(given, '10.0.0.1')))
  t.same(fields(early, 'status', 'told'), [['DEPLOYED', 'DEPLOYED']])
  t.equal(acknowledged(early, HPI, sent(taken).command_id), undefined)
})

t.test('a removal that nothing waits for any more ends with its acknowledgement', async t => {
  const change = updated(deployedJob(), { image: 'nginx:2' })
  const none = stored(scaled(stored(change), 0, 'user'))
  t.equal(none.retiring.length, 2)
  const half = stored(acknowledged(none, HPI, sent(change).command_id))
  t.equal(half.retiring.length, 1)
})

t.test(
  'an update that the cluster cannot begin with shows, and what runs is not sent a second descriptor',
  async t => {
    const change = updated(deployedJob(), { image: 'nginx:2', rollout: { auto_rollback: false } })
    const busy = refused(stored(change), HPI, sent(change), 'HTTP 500: busy')
    t.same(fields(busy?.job, 'status', 'status_reason'), [['FAILED', 'the cluster refused: HTTP 500: busy']])
    t.same(commands(busy), [])
    t.match(busy?.job.retiring, [{ error: 'HTTP 500: busy' }])
    const again = expireDeadlines(stored(busy), POLICY, 'system', new Date(Date.now() + POLICY.stoppedMs + 1000))
    t.same(commands(again), [`delete ${HPI}`])
  }
)

t.test('another instance in place of the first is a delete and a deploy too', async t => {
  const two = stored(scaled(deployedJob(), 2, 'user'))
  const elsewhere = stored(placedOn(two, { 1: TUM }, undefined, true))
  t.same(commands(scaled(elsewhere, 1, 'user')), [`delete ${TUM}`])
})

t.test('a cluster gets no second instance, whatever a scheduler says', async t => {
  const two = stored(scaled(deployedJob(), 2, 'user'))
  t.equal(placedOn(two, { 1: HPI }, undefined, true), undefined)
})

t.test('the old word counts when it is another one, and else the start fails after the time for a start', async t => {
  const job = redeployed(undeployedJob())
  t.equal(reported(job, HPI, 'DEPLOYED'), undefined)
  t.equal(reported(job, HPI, 'FAILED')?.job.status, 'FAILED')
  const since = Date.parse(job.instance_list[0]!.deadline_from!)
  t.equal(dueAt(job, POLICY), new Date(since + POLICY.startingMs).toISOString())
  const late = expireDeadlines(job, POLICY, 'system', new Date(since + POLICY.startingMs + 1))
  t.same(commands(late), [`delete ${HPI}`])
  const elsewhere = stored(reported(job, HPI, 'NODE_SCHEDULED'))
  t.equal(reported(elsewhere, HPI, 'DEPLOYED')?.job.status, 'DEPLOYED', 'after any other word each counts')
})

t.test('of a cluster that had not begun every word is news', async t => {
  const placed = stored(placedOn(stored(created(sampleDescriptor(), 'user')), { 0: HPI }, undefined, true))
  t.match(undeploying(placed, 'user')?.job.retiring, [{ told: null, original: true }])
  const again = redeployed(undeployedJob(placed))
  const since = Date.parse(again.instance_list[0]!.deadline_from!)
  t.equal(dueAt(again, POLICY), new Date(since + POLICY.scheduledMs).toISOString())
  t.equal(reported(again, HPI, 'DEPLOYED')?.job.status, 'DEPLOYED')
})

t.test('what it says of what it has removed, or has to remove, is remembered', async t => {
  const placed = stored(placedOn(stored(created(sampleDescriptor(), 'user')), { 0: HPI }, undefined, true))
  const undeployed = stored(undeploying(placed, 'user'))
  t.equal(strayed(undeployed, HPI, 'CLUSTER_SCHEDULED'), undefined)
  const begun = strayed(undeployed, HPI, 'NODE_SCHEDULED')
  t.match(begun?.job.retiring, [{ told: 'NODE_SCHEDULED' }])
  t.match(
    detailed(undeployed, told(undeployed, '10.0.0.1'))?.job.retiring,
    [{ told: 'DEPLOYED' }],
    'a late result says so too'
  )
  t.equal(detailed(undeployed, told(undeployed, '10.0.0.1'), TUM), undefined)
  t.match(
    strayed(undeployed, TUM, 'DEPLOYED')?.job.removals,
    [{ cluster_id: TUM, told: 'DEPLOYED' }],
    'also of one that was told of it before that was noted'
  )
  const gone = stored(acknowledged(stored(begun), HPI, undeployed.retiring[0]!.command_id))
  t.match(gone.removals, [{ cluster_id: HPI, told: 'NODE_SCHEDULED' }])
  const later = strayed(gone, HPI, 'DEPLOYED')
  t.match(later?.job.removals, [{ told: 'DEPLOYED' }])
  t.equal(strayed(stored(later), HPI, 'DEPLOYED'), undefined, 'once')
  t.equal(later?.job.status, 'UNDEPLOYED')
})

t.test('a job is known by its newest 100 removals, and a cluster that is deleted has none', async t => {
  let job = deployedJob()
  job.removals = Array.from({ length: 100 }, (_, n) => ({
    cluster_id: n.toString(16).padStart(24, '0'),
    at: job.created_at,
    told: null
  }))
  const change = undeploying(job, 'user')
  job = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.equal(job.removals.length, 100)
  t.equal(job.removals.at(-1)?.cluster_id, HPI)
  const again = stored(revived(job, sampleDescriptor(), 'user'))
  const onTum = stored(placedOn(again, { 0: TUM }, undefined, true))
  t.notOk(forgotten(onTum, TUM, 'user')?.job.removals.some(({ cluster_id: id }) => id === TUM))
})

t.test('one that lost its database is sent the job as it is', async t => {
  const change = missing(deployedJob(), HPI)
  t.same(commands(change), [`deploy ${HPI}`])
  t.same(change?.job.retiring, [])
})

t.test('a name is deployed again under its id, with its history, while something is still to be removed', async t => {
  const undeployed = stored(undeploying(deployedJob(), 'user'))
  const change = revived(undeployed, sampleDescriptor({ image: 'nginx:2', replicas: 2 }), 'user')
  const { job } = change
  t.equal(job.id, undeployed.id)
  t.match(job, {
    desired_state: 'running',
    status: 'REQUESTED',
    generation: 2,
    replicas: 2,
    created_at: undeployed.created_at,
    retiring: [{ cluster_id: HPI }],
    revisions: [{ generation: 1 }],
    service_ip_list: undeployed.service_ip_list
  })
  t.same(commands(change), [])
  t.same(events(change), ['deployed: demo.default.service1.test was deployed again, 2 instances'])
  t.same(revived(undeployed, sampleDescriptor(), 'user').job.revisions, [], 'the same descriptor is no earlier one')
  const wish = revived(undeployed, sampleDescriptor({ RR_ip: '172.30.9.9' }), 'user')
  t.equal(wish.job.service_ip_list[0]?.Address, '172.30.9.9')
})

t.test('a cluster that became an original one loses nothing to a deadline', async t => {
  const job = deployedJob()
  job.instance_list[0]!.original = false
  const late = new Date(Date.now() + POLICY.startingMs + 1000)
  t.same(commands(expireDeadlines(job, POLICY, 'system', late)), [`delete ${HPI}`])
  t.same(commands(expireDeadlines(job, POLICY, 'system', late, { originals: new Set([ETH]) })), [`delete ${HPI}`])
  const known = expireDeadlines(job, POLICY, 'system', late, { originals: new Set([HPI]) })
  t.same(commands(known), [])
  t.same(fields(known?.job, 'original', 'status'), [[true, 'DEPLOYED' satisfies Status]])
  t.equal(dueAt(stored(known), POLICY), null)
})

t.test('a word is kept through starts of which nothing is heard', async t => {
  const silent = undeployedJob(redeployed(undeployedJob()))
  t.match(silent.removals, [{ told: 'DEPLOYED' }])
  t.equal(reported(redeployed(silent), HPI, 'DEPLOYED'), undefined)
})

t.test('what the cluster says while it has yet to remove an instance is about that', async t => {
  const change = updated(deployedJob(), { image: 'nginx:2' })
  const failed = reported(stored(change), HPI, 'FAILED')
  t.match(failed?.job.retiring, [{ told: 'FAILED' }])
  t.same(fields(failed?.job, 'status'), [['CLUSTER_SCHEDULED']])
  const taken = acknowledged(stored(failed), HPI, sent(change).command_id)
  t.match(taken?.job.removals, [{ told: 'FAILED' }])
})

t.test('a cluster that registers otherwise than before has its instances be of its kind', async t => {
  const job = deployedJob()
  const channel = registeredAs(job, HPI, false)
  t.same(fields(channel?.job, 'original'), [[false]])
  t.not(dueAt(stored(channel), POLICY), null, 'DEPLOYED is not up there')
  t.equal(registeredAs(stored(channel), HPI, false), undefined)
  t.equal(registeredAs(job, TUM, false), undefined)
  const back = stored(registeredAs(stored(channel), HPI, true))
  t.equal(dueAt(back, POLICY), null)
  const leaving = stored(registeredAs(stored(undeploying(job, 'user')), HPI, false))
  t.match(leaving.retiring, [{ original: false }])
  const onChannel = redeployed(undeployedJob())
  onChannel.instance_list[0]!.original = false
  t.equal(reported(onChannel, HPI, 'DEPLOYED')?.job.status, 'DEPLOYED', 'an agent forgets: its words are about now')
})
