import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import type { Status } from '../../../schemas/status.js'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { forgotten, evicted } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { detailed } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { missing } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import { moved } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import {
  commands,
  entries,
  ETH,
  events,
  eventTypes,
  fields,
  HPI,
  minutesAfter,
  movedTo,
  placedJob,
  placedOn,
  POLICY,
  runningJob,
  sent,
  stored,
  TUM,
  updated,
  reported
} from './sample.js'

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

t.test('what does not start is tried elsewhere, and its cluster gets a command to remove it', async t => {
  const change = atDue(placedJob([HPI]))
  t.same(entries(change?.job), ['0 - REQUESTED'])
  t.match(change?.job.instance_list[0], { attempts: 1, refusals: [{ cluster_id: HPI, error: /was CLUSTER_SCHEDULED since/ }] })
  t.same(commands(change), [`delete ${HPI}`])
  t.ok(eventTypes(change).includes('retried'))
  t.equal(dueAt(change!.job, POLICY), null)
})

t.test('what its cluster could not know of yet is not tried elsewhere, but not for ever', async t => {
  let job = placedJob([HPI, TUM])
  const placedAt = Date.parse(job.instance_list[0]!.status_since)
  const untaken = new Set([HPI])
  for (let waits = 1; waits < 5; waits++) {
    const at = new Date(dueAt(job, POLICY)!)
    const change = expireDeadlines(job, POLICY, 'system', at, { untaken })
    t.same(fields(change?.job, 'cluster_id', 'deadline_from')[0], [HPI, at.toISOString()])
    t.same(commands(change), waits === 1 ? [`delete ${TUM}`] : [], 'the other one is tried elsewhere at once')
    if (waits === 1) {
      t.match(events(change), [
        /^delivery 0 @hpi: instance 0: its cluster has not taken the command yet, and may still$/
      ])
    }
    job = stored(change)
  }
  const last = new Date(dueAt(job, POLICY)!)
  t.equal(last.getTime() - placedAt, 5 * POLICY.scheduledMs)
  t.same(fields(expireDeadlines(job, POLICY, 'system', last, { untaken })?.job, 'cluster_id')[0], [''])
})

t.test('the deadline counts from when its cluster took the command, where that was late', async t => {
  const job = placedJob([HPI])
  const since = Date.parse(job.instance_list[0]!.status_since)
  const takenAfter = (ms: number) => acknowledged(job, HPI, 'whatever', new Date(since + ms))
  t.equal(takenAfter(4999), undefined, 'not worth a write')
  const late = takenAfter(90_000)
  t.same(events(late), ['acknowledged 0 @hpi: instance 0: the cluster took the command 90 s after the placement'])
  t.equal(Date.parse(dueAt(stored(late), POLICY)!), since + 90_000 + POLICY.scheduledMs)
  t.equal(acknowledged(stored(late), HPI, 'whatever', new Date(since + 91_000)), undefined, 'once')
  t.equal(acknowledged(job, TUM, 'whatever', new Date(since + 90_000)), undefined, 'another cluster')
  const reportedLate = stored(reported(stored(late), HPI, 'CREATED', new Date(since + 95_000)))
  t.equal(reportedLate.instance_list[0]!.deadline_from, undefined)
  t.equal(Date.parse(dueAt(reportedLate, POLICY)!), since + 95_000 + POLICY.startingMs)
})

t.test('a cluster that takes one command after the other and starts nothing does not keep it', async t => {
  let job = placedJob([HPI])
  const since = Date.parse(job.instance_list[0]!.status_since)
  for (let ms = 20_000; ms < 4.9 * POLICY.scheduledMs; ms += 20_000) {
    job = stored(acknowledged(job, HPI, 'whatever', new Date(since + ms)))
  }
  t.equal(Date.parse(dueAt(job, POLICY)!), since + 5 * POLICY.scheduledMs)
  t.same(fields(atDue(job)?.job, 'cluster_id'), [['']])
})

t.test('the deadline of an update counts from when its cluster took the command', async t => {
  const updating = updated(runningJob([HPI]), { image: 'nginx:2' })
  const [command] = updating!.commands
  const since = Date.parse(updating!.job.instance_list[0]!.status_since)
  const taken = stored(acknowledged(stored(updating), HPI, command!.command_id, new Date(since + 60_000)))
  t.equal(Date.parse(dueAt({ ...taken, rollout: null }, POLICY)!), since + 60_000 + POLICY.scheduledMs)
})

t.test('in the end it is left FAILED with its story, and shows should it run there after all', async t => {
  let job = placedJob([HPI])
  for (let attempt = 1; attempt < POLICY.maxAttempts; attempt++) job = stored(placedOn(stored(atDue(job)), { 0: [TUM, ETH, HPI][attempt % 3]! }))
  const change = atDue(job)
  t.match(change?.job, { status: 'FAILED', status_reason: new RegExp(`^given up after ${POLICY.maxAttempts} starts: .*${TUM} was .*; `) })
  t.equal(dueAt(change!.job, POLICY), null, 'it has no deadline any more')
  const last = change!.job.instance_list[0]!.cluster_id
  t.match(stored(reported(stored(change), last, 'RUNNING')), { status: 'RUNNING', instance_list: [{ attempts: 0 }] })
})

/** A job of one instance that no cluster could start. */
function givenUpJob (): Job {
  let job = placedJob([HPI])
  for (let attempt = 1; attempt < POLICY.maxAttempts; attempt++) job = stored(placedOn(stored(atDue(job)), { 0: attempt % 2 ? TUM : HPI }))
  return stored(atDue(job))
}

t.test('an instance that was given up is changed only by a report of RUNNING or COMPLETED', async t => {
  const job = givenUpJob()
  const [{ cluster_id: at, instance_number: number }] = job.instance_list as [Job['instance_list'][number]]
  for (const told of ['NODE_SCHEDULED', 'CREATING', 'CREATED', 'DEPLOYED', 'DEAD', 'FAILED', 'NO_NODE_FOUND', 'UNDEPLOYED'] as const) {
    t.equal(reported(job, at, told), undefined, told)
  }
  const result = detailed(job, { job_id: job.id, instances: [{ instance_number: number, host_ip: '10.0.0.1', host_port: 1 }] }, at)
  t.match(result?.job, { status: 'FAILED', instance_list: [{ given_up: true, host_ip: '10.0.0.1' }] })
  t.equal(evicted(job, at, 'hpi', 'system'), undefined)
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

t.test(
  'what a move took to a cluster, and does not run there any more, is placed where the descriptor says',
  async t => {
    const late = new Date(Date.now() + POLICY.stoppedMs + 1000)
    const moved = (told: Status): Job => {
      const job = stored(reported(runningJob([HPI]), HPI, told))
      job.instance_list[0]!.location = 'hpi'
      return job
    }
    t.same(fields(expireDeadlines(moved('FAILED'), POLICY, 'system', late)?.job, 'cluster_id', 'location'), [
      ['', null]
    ])
    const never = placedJob([HPI])
    never.instance_list[0]!.location = 'hpi'
    t.same(
      fields(expireDeadlines(never, POLICY, 'system', late)?.job, 'cluster_id', 'location'),
      [['', 'hpi']],
      'it has not started there yet'
    )
    const anywhere = moved('FAILED')
    anywhere.instance_list[0]!.location = ''
    t.same(fields(expireDeadlines(anywhere, POLICY, 'system', late)?.job, 'location'), [['']], 'nothing ties it')
  }
)

t.test('a user starts what was given up afresh: another descriptor, a move, a deleted cluster', async t => {
  const job = givenUpJob()
  const at = job.instance_list[0]!.cluster_id
  const mended = stored(updated(job, { image: 'mended' }))
  t.match(mended.instance_list, [{ status: 'CLUSTER_SCHEDULED', attempts: 0, given_up: false, refusals: [] }])
  t.not(dueAt(mended, POLICY), null, 'it has a deadline again')
  const moving = stored(moved(job, { from: new Set([at]), location: ETH, why: 'asked', order: 'stop-first' }, 'user'))
  t.match(moving.instance_list, [{ status: 'REQUESTED', cluster_id: '', given_up: false }])
  t.match(stored(forgotten(job, at, 'user')).instance_list, [{ status: 'REQUESTED', cluster_id: '', given_up: false }])
  const drained = stored(moved(job, { from: new Set([at]), location: null, why: 'drain', order: 'start-first' }, 'user'))
  t.match(drained.instance_list, [{ status: 'REQUESTED', cluster_id: '', move: null, given_up: false }])
  t.equal(drained.instance_list.length, 1, 'nothing that does not run has to be replaced before it goes')
})

t.test('a reason for giving up does not repeat the one before it', async t => {
  const again = stored(updated(givenUpJob(), { replicas: 2 }))
  t.match(again.instance_list[0], { status: 'FAILED', status_reason: 'to be tried again', attempts: 0, given_up: false })
})

t.test('a refused removal is sent again, as the job is by then', async t => {
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

t.test('what was refused or reported as stopped and runs after all shows as RUNNING, with no deadline and all its starts', async t => {
  const job = placedJob([HPI, TUM])
  const nacked = stored(refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, 'boom'))
  for (const stopped of [nacked, ...(['FAILED', 'DEAD', 'NO_WORKER_CAPACITY', 'NO_NODE_FOUND'] as const).map(told => stored(reported(job, HPI, told)))]) {
    stopped.instance_list[0]!.attempts = 1
    const runs = reported(stopped, HPI, 'RUNNING')
    t.same(fields(runs?.job, 'cluster_id', 'status', 'status_reason', 'attempts'), [[HPI, 'RUNNING', null, 0], [TUM, 'CLUSTER_SCHEDULED', null, 0]])
    t.same(events(runs), [`status 0 @hpi ${stopped.instance_list[0]!.status}>RUNNING: instance 0 is RUNNING`])
  }
})

t.test('only what is overdue is tried elsewhere, with its story', async t => {
  const placed = placedJob([HPI, TUM])
  const job = stored(reported(placed, TUM, 'RUNNING'))
  const since = job.instance_list[0]!.status_since
  const change = atDue(job)
  const story = `CLUSTER_SCHEDULED since ${since}`
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason', 'attempts'), [
    ['', 'REQUESTED', `was ${story}: to be tried elsewhere`, 1], [TUM, 'RUNNING', null, 0]
  ])
  t.same(events(change), [
    `retried 0 @hpi: instance 0 was ${story}: it is tried elsewhere, start 2 of 5`,
    `status 0 @hpi CLUSTER_SCHEDULED>REQUESTED: instance 0 is REQUESTED: was ${story}: to be tried elsewhere`,
    'retiring @hpi: hpi is to remove instance 0'
  ])
  t.match(change?.events, [{ cause: 'system' }])
  t.same(change?.job.instance_list[0]?.refusals, [
    { cluster_id: HPI, at: change!.job.updated_at, error: `was ${story}`, offered: null }
  ])
})

t.test('the story has the reason, where there is one', async t => {
  const job = placedJob([HPI])
  const nacked = stored(refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, 'boom'))
  t.match(atDue(nacked)?.job.status_reason, /^was FAILED since \S+ \(the cluster refused: boom\): to be tried elsewhere$/)
})

t.test('each status has its time from when it began, and the first to end is the one that counts', async t => {
  const job = stored(reported(placedJob([HPI, TUM]), TUM, 'CREATED'))
  t.equal(dueAt(job, POLICY), new Date(Date.parse(job.instance_list[0]!.status_since) + POLICY.scheduledMs).toISOString())
  const alone = stored(reported(job, HPI, 'RUNNING'))
  t.equal(dueAt(alone, POLICY), new Date(Date.parse(alone.instance_list[1]!.status_since) + POLICY.startingMs).toISOString())
})

t.test('what is given up has its whole story in one event, and no deadline any more', async t => {
  const job = placedJob([HPI])
  job.instance_list[0]!.attempts = POLICY.maxAttempts - 1
  job.instance_list[0]!.refusals = ['a', 'b', 'c', 'd', 'e'].map(error => ({ cluster_id: TUM, at: job.created_at, error }))
  const change = atDue(job)
  const since = job.instance_list[0]!.status_since
  const reason = `given up after 5 starts: tum b; tum c; tum d; tum e; hpi was CLUSTER_SCHEDULED since ${since}`
  t.same(events(change), [`status 0 @hpi CLUSTER_SCHEDULED>FAILED: instance 0 is FAILED: ${reason}`, `gave_up 0 @hpi: instance 0: ${reason}`])
  t.same(fields(change?.job, 'cluster_id', 'given_up', 'attempts'), [[HPI, true, 5]])
  t.same(commands(change), [])
})

t.test('what is FAILED already when it is given up gets the whole story all the same', async t => {
  const job = stored(reported(placedJob([HPI]), HPI, 'FAILED'))
  job.instance_list[0]!.attempts = POLICY.maxAttempts - 1
  const change = atDue(job)
  t.same(eventTypes(change), ['gave_up'])
  t.match(fields(change?.job, 'status', 'status_reason', 'given_up'), [['FAILED', /^given up after 5 starts/, true]])
})

t.test('a refused removal is due when the cluster may have changed its mind, not before', async t => {
  const change = scaled(runningJob([HPI, HPI, TUM]), 1, 'user')
  const job = stored(refused(stored(change), HPI, sent(change), 'busy', new Date('2026-01-31T12:00:00Z')))
  t.equal(dueAt(job, POLICY), '2026-01-31T12:02:00.000Z')
  t.equal(expireDeadlines(job, POLICY, 'system', new Date('2026-01-31T12:01:59.999Z')), undefined)
  const again = atDue(job)
  t.same(events(again), ['resent @hpi: the cluster refused to remove it (busy): the removal is sent again'])
  t.same(again?.job.retiring.map(({ cluster_id: id, error }) => [id, error]), [[HPI, null], [TUM, null]])
  t.same(commands(again), [`deploy ${HPI}`])
})

t.test('a move that a user asked for fails at its deadline, also while it has found no place', async t => {
  const job = stored(movedTo(runningJob([HPI, TUM]), HPI))
  const since = job.instance_list[1]!.move!.since
  t.equal(dueAt(job, POLICY), minutesAfter(since, 5).toISOString())
  job.instance_list[1]!.status_reason = 'tum: 0 cores free of 1 asked'
  const change = atDue(job)
  t.same(entries(change?.job), [`0 ${HPI} RUNNING`, `1 ${TUM} RUNNING`])
  t.same(fields(change?.job, 'status_reason'), [['a move failed: no place was found for it: tum: 0 cores free of 1 asked'], [null]])
  t.same(events(change), ['move_failed 0 @hpi: instance 0 stays on hpi: no place was found for it: tum: 0 cores free of 1 asked'])
})

t.test('only a move that a user asked for fails: an update, a drain and a failover end somewhere', async t => {
  for (const why of ['drain', 'update', 'failover'] as const) {
    const job = stored(
      why === 'failover'
        ? evicted(runningJob([HPI]), HPI, 'hpi', 'system')
        : movedTo(runningJob([HPI]), HPI, { why, location: null })
    )
    t.equal(dueAt(job, POLICY), null, why)
    t.equal(expireDeadlines(job, POLICY, 'system', minutesAfter(job.updated_at, 60)), undefined, why)
    const late = stored(placedOn(job, { 0: TUM }))
    late.instance_list[1]!.attempts = POLICY.maxAttempts
    const change = atDue(late)
    t.same(fields(change?.job, 'cluster_id', 'given_up'), [[HPI, false], ['', false]], why)
    t.match(events(change)[0], /it is tried elsewhere, start 7$/, why)
  }
})

t.test('a refused instance that is placed anew has no deadline: it has no cluster to wait for', async t => {
  const job = placedJob([HPI])
  const full = stored(refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, 'NO_WORKER_CAPACITY'))
  t.equal(dueAt(full, POLICY), null)
  t.equal(expireDeadlines(full, POLICY, 'system', minutesAfter(full.updated_at, 60)), undefined)
})

t.test('what has a successor has no deadline: that one has', async t => {
  const draining = stored(movedTo(stored(reported(runningJob([HPI]), HPI, 'FAILED')), HPI, { why: 'drain', location: null }))
  t.equal(dueAt(draining, POLICY), null)
  t.equal(expireDeadlines(draining, POLICY, 'system', minutesAfter(draining.updated_at, 60)), undefined)
})

t.test('a move that a user asked for has its own deadline, however long its successor may still start', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const starting = stored(reported(moving, TUM, 'CREATED'))
  t.equal(dueAt(starting, POLICY), minutesAfter(starting.instance_list[1]!.move!.since, 5).toISOString())
})

t.test('a removal counts as refused from when it was, and a job that is removed has no instances to wait for', async t => {
  const job = runningJob([HPI])
  job.retiring = [
    {
      command_id: 'x',
      cluster_id: TUM,
      instances: [],
      error: 'busy',
      since: new Date().toISOString(),
      released: false,
      original: false,
      told: null
    }
  ]
  t.equal(dueAt(job, POLICY), null)
  t.equal(expireDeadlines(job, POLICY, 'system', minutesAfter(job.updated_at, 60)), undefined)
  const leaving = { ...placedJob([HPI]), desired_state: 'undeployed' as const }
  t.equal(dueAt(leaving, POLICY), null)
  t.equal(expireDeadlines(leaving, POLICY, 'system', minutesAfter(leaving.updated_at, 60)), undefined)
})
