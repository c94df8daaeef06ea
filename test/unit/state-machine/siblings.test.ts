import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import type { Status } from '../../../schemas/status.js'
import * as reports from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { acknowledged } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { silenced } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { missing } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import {
  commands,
  entries,
  ETH,
  events,
  fields,
  HPI,
  POLICY,
  placedJob,
  reported,
  runningJob,
  sent,
  stored,
  updated
} from './sample.js'

const ALL = new Set([0, 1, 2])

/** What a cluster says of each instance by its number. */
const apart = (job: Job, told: Record<number, Status>, reason: string | null = null) =>
  reports.reported(job, HPI, {
    status: 'FAILED',
    instances: new Map(Object.entries(told).map(([number, status]) => [Number(number), { status, reason }]))
  })

/** The deadlines of a job pass, one after the other, until none is left, at most `most` times. */
function pass (job: Job, placeless: ReadonlySet<number>, most = 1) {
  for (; most > 0; most--) {
    const due = dueAt(job, POLICY)
    if (due === null) break
    job = stored(expireDeadlines(job, POLICY, 'system', new Date(due), { placeless }))
  }
  return job
}

t.test('of three instances on one cluster one fails: none is removed, and the cluster is asked', async t => {
  for (const placeless of [new Set<number>(), ALL]) {
    const job = stored(reported(runningJob([HPI, HPI, HPI]), HPI, 'FAILED'))
    t.same(fields(job, 'status'), [['FAILED'], ['FAILED'], ['FAILED']])
    const change = expireDeadlines(job, POLICY, 'system', new Date(dueAt(job, POLICY)!), { placeless })
    t.same(commands(change), [`deploy ${HPI}`])
    t.same(entries(change?.job), [`0 ${HPI} FAILED`, `1 ${HPI} FAILED`, `2 ${HPI} FAILED`])
    t.match(
      events(change).at(-1),
      /resent 2 @hpi: instance 2 was FAILED .* stays where it is: its cluster has one word/
    )
    const later = pass(job, placeless, 20)
    t.same(entries(later), [`0 ${HPI} FAILED`, `1 ${HPI} FAILED`, `2 ${HPI} FAILED`], 'also in the end')
    t.ok(later.instance_list.every(entry => entry.given_up))
    t.same(fields(stored(reported(later, HPI, 'RUNNING')), 'status', 'given_up'), [
      ['RUNNING', false],
      ['RUNNING', false],
      ['RUNNING', false]
    ])
  }
})

t.test('a cluster that tells them apart loses the one that failed, if another has room', async t => {
  const job = stored(apart(runningJob([HPI, HPI, HPI]), { 0: 'RUNNING', 1: 'FAILED', 2: 'RUNNING' }, 'exit code 1'))
  t.same(fields(job, 'status', 'status_reason'), [
    ['RUNNING', null],
    ['FAILED', 'exit code 1'],
    ['RUNNING', null]
  ])
  t.same(entries(pass(job, new Set())), [`0 ${HPI} RUNNING`, '1 - REQUESTED', `2 ${HPI} RUNNING`])
  const alone = pass(job, ALL)
  t.same(entries(alone), [`0 ${HPI} RUNNING`, `1 ${HPI} FAILED`, `2 ${HPI} RUNNING`], 'without another place it stays')
  t.equal(alone.instance_list[1]!.attempts, 1)
})

t.test(
  'what is said by number goes before what is said of the job, and who is not named keeps its status',
  async t => {
    const job = runningJob([HPI, HPI])
    t.equal(apart(job, { 0: 'RUNNING', 1: 'RUNNING' }), undefined)
    t.equal(apart(job, { 5: 'FAILED' }), undefined)
    const one = stored(apart(job, { 1: 'DEAD' }))
    t.same(fields(one, 'status', 'told_apart'), [
      ['RUNNING', false],
      ['DEAD', true]
    ])
    t.same(fields(stored(reported(one, HPI, 'FAILED')), 'status', 'told_apart'), [
      ['FAILED', false],
      ['FAILED', false]
    ])
  }
)

t.test('a result may say how each instance is', async t => {
  const job = placedJob([HPI, HPI])
  const told = stored(
    reports.detailed(
      job,
      {
        job_id: job.id,
        instances: [
          { instance_number: 0, host_ip: '10.0.0.5', host_port: 50_000, status: 'RUNNING' },
          { instance_number: 1, host_ip: '10.0.0.6', status: 'FAILED', status_reason: 'no such image' }
        ]
      },
      HPI
    )
  )
  t.same(fields(told, 'status', 'status_reason', 'host_ip', 'told_apart'), [
    ['RUNNING', null, '10.0.0.5', true],
    ['FAILED', 'no such image', '10.0.0.6', true]
  ])
})

t.test(
  'the only instance that failed stays where it is while nobody else can run it, and is given up there',
  async t => {
    const job = stored(reported(runningJob([HPI]), HPI, 'FAILED'))
    const change = expireDeadlines(job, POLICY, 'system', new Date(dueAt(job, POLICY)!), { placeless: ALL })
    t.same(commands(change), [`deploy ${HPI}`])
    t.match(events(change).at(-1), /stays where it is: no other cluster has room for it/)
    t.same(entries(pass(job, new Set())), ['0 - REQUESTED'], 'with another place it goes there')
    const later = pass(job, ALL, 20)
    t.same(entries(later), [`0 ${HPI} FAILED`])
    t.equal(later.instance_list[0]!.given_up, true)
  }
)

t.test(
  'an instance that its cluster no longer reports is asked for, and not removed while nobody else can run it',
  async t => {
    const job = stored(missing(runningJob([HPI, HPI]), HPI, number => number === 1))
    t.same(entries(job), [`0 ${HPI} RUNNING`, `1 ${HPI} CLUSTER_SCHEDULED`])
    t.same(entries(pass(job, ALL)), [`0 ${HPI} RUNNING`, `1 ${HPI} CLUSTER_SCHEDULED`])
    t.same(entries(pass(job, new Set())), [`0 ${HPI} RUNNING`, '1 - REQUESTED'])
  }
)

t.test('what its cluster never began with is tried elsewhere in any case', async t => {
  t.same(entries(pass(placedJob([HPI, ETH]), ALL)), ['0 - REQUESTED', '1 - REQUESTED'])
  const refusing = stored(reported(runningJob([HPI]), HPI, 'NO_NODE_FOUND'))
  t.same(entries(pass(refusing, ALL)), ['0 - REQUESTED'])
})

t.test(
  'an update without a rollback takes no more down than it may, though its cluster has one word for all',
  async t => {
    const change = updated(runningJob([HPI, HPI, HPI]), { image: 'broken', rollout: { auto_rollback: false } })
    const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
    t.same(fields(taken, 'generation', 'status'), [
      [2, 'CLUSTER_SCHEDULED'],
      [1, 'RUNNING'],
      [1, 'RUNNING']
    ])
    const later = new Date(Date.now() + 60_000)
    const failed = stored(reported(taken, HPI, 'FAILED', later))
    t.same(fields(failed, 'generation', 'status'), [
      [2, 'FAILED'],
      [1, 'FAILED'],
      [1, 'FAILED']
    ])
    t.same(fields(stored(reported(failed, HPI, 'DEAD', later)), 'generation'), [[2], [1], [1]])
  }
)

t.test('instances that had stopped before the update are all renewed at once', async t => {
  const job = stored(reported(runningJob([HPI, HPI, HPI]), HPI, 'FAILED'))
  const change = updated(
    job,
    { image: 'mended', rollout: { auto_rollback: false } },
    undefined,
    new Date(Date.now() + 60_000)
  )
  t.same(fields(change?.job, 'generation'), [[2], [2], [2]])
})

t.test('what of a result cannot be understood costs nothing of where the instances run', async t => {
  const job = placedJob([HPI, HPI])
  const told = stored(
    reports.detailed(
      job,
      {
        job_id: job.id,
        instances: [
          { instance_number: 0, host_ip: '10.0.0.5', status: 'ACTIVE', status_reason: 7 },
          { instance_number: 1, host_ip: '10.0.0.6', status: 'FAILED', status_reason: `x\n${'y'.repeat(3000)}` }
        ]
      },
      HPI
    )
  )
  t.same(fields(told, 'status', 'host_ip', 'told_apart'), [
    ['DEPLOYED', '10.0.0.5', false],
    ['FAILED', '10.0.0.6', true]
  ])
  t.equal(told.instance_list[1]!.status_reason, 'y'.repeat(500))
})

t.test('a result of an instance that is created is one of where it is deployed', async t => {
  const job = placedJob([HPI])
  const instances = [{ instance_number: 0, host_ip: '10.0.0.5', status: 'CREATED' }]
  t.same(fields(stored(reports.detailed(job, { job_id: job.id, instances }, HPI)), 'status'), [['DEPLOYED']])
})

t.test('an update is not over because all of its clusters fell silent', async t => {
  const change = updated(runningJob([HPI, ETH]), { image: 'nginx:2' })
  const held = [HPI, ETH].reduce((job, id) => stored(silenced(job, id, 'it', 'system')), stored(change))
  t.match(held, { status: 'DEAD', rollout: { from_generation: 1 } })
})
