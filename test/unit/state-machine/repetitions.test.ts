import t from 'tap'
import { MAX_REPEATS, type Job } from '../../../schemas/job.js'
import { unplaceable } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { noteRepetition, withoutFigures } from '../../../services/job-lifecycle/state-machine/repetitions.js'
import { HPI, reported, runningJob, stored, TUM, updated } from './sample.js'

const minute = (n: number) => new Date(Date.UTC(2026, 0, 31, 12, n))

t.test('what comes again is told at its 1st, 2nd, 4th, 8th … time, with how often and since when', async t => {
  let job = runningJob([HPI])
  const told: Array<[number, number | undefined, string | undefined]> = []
  for (let n = 1; n <= 20; n++) {
    const failed = reported(job, HPI, 'FAILED', minute(2 * n))
    for (const { to, count, since } of failed!.events) if (to === 'FAILED') told.push([n, count, since])
    job = stored(reported(stored(failed), HPI, 'RUNNING', minute(2 * n + 1)))
    t.equal(job.status, 'RUNNING', 'the change is made, told or not')
  }
  const since = minute(2).toISOString()
  t.same(told, [
    [1, undefined, undefined],
    [2, 2, since],
    [4, 4, since],
    [8, 8, since],
    [16, 16, since]
  ])
})

t.test('each request of a user is told, and begins to count anew', async t => {
  let job = runningJob([HPI])
  for (let n = 0; n < 6; n++) {
    const change = scaled(job, n % 2 === 0 ? 2 : 1, 'user')
    t.match(change?.events, [{ type: 'scaled' }])
    job = stored(change)
  }
  job = stored(
    reported(stored(reported(stored(reported(runningJob([HPI]), HPI, 'FAILED')), HPI, 'RUNNING')), HPI, 'FAILED')
  )
  t.not(job.repeats.length, 0)
  t.same(
    stored(scaled(job, 2, 'user')).repeats.filter(({ count }) => count > 1),
    []
  )
})

t.test('verdicts with other figures are repetitions, other sentences are not', async t => {
  let job = stored(scaled(runningJob([HPI]), 2, 'user'))
  const told: string[] = []
  const summaries = [
    '0.2 cores free of 1',
    '0.3 cores free of 1',
    '0.4 cores free of 1',
    '12 cores free of 1',
    'silent since 2026-01-31T12:00:00Z',
    'silent since 2026-02-01T12:00:00Z'
  ]
  for (const [n, summary] of [...summaries, 'silent since 2026-03-01T12:00:00Z'].entries()) {
    const explanation = {
      decided_at: minute(n * 10).toISOString(),
      outcome: 'unplaceable',
      summary,
      clusters: [],
      omitted: 0
    } as const
    const change = unplaceable(job, 'NoActiveClusterWithCapacity', explanation as never, 'scheduler', minute(n * 10))
    told.push(
      ...(change?.events
        .filter(({ type }) => type === 'unplaceable')
        .map(({ message, count }) => `${message} ${count ?? 1}`) ?? [])
    )
    job = stored(change)
  }
  t.same(told, [
    '0.2 cores free of 1 1',
    '0.3 cores free of 1 2',
    '12 cores free of 1 4',
    'silent since 2026-01-31T12:00:00Z 1',
    'silent since 2026-02-01T12:00:00Z 2'
  ])
})

t.test(
  'of events that differ in their cluster or instance each has its own count, and the newest are kept',
  async t => {
    const job: Job = runningJob([HPI])
    const note = (message: string, cluster_id = HPI, instance_number = 0) =>
      noteRepetition(job, job.created_at, { type: 'refused', message, cluster_id, instance_number })
    t.same([note('busy'), note('busy', TUM), note('busy', HPI, 1), note('full')], [{}, {}, {}, {}])
    t.match(note('busy'), { count: 2 })
    t.equal(note('busy'), undefined)
    for (let n = 0; n < MAX_REPEATS; n++) note(`reason ${n}`)
    t.equal(job.repeats.length, MAX_REPEATS)
    t.same(note('busy'), {}, 'one that was long ago begins anew')
  }
)

t.test('figures and times are no part of what a sentence says', async t => {
  t.equal(
    withoutFigures('hpi: 0.25 cores free of 12, since 2026-01-31T12:00:00.000Z'),
    'hpi: # cores free of #, since '
  )
})

t.test('a job that runs says what its update waits for', async t => {
  const change = updated(runningJob([HPI]), { image: 'nginx:2', cluster_location: 'mars' }, () => false)
  t.match(change?.job, { status: 'RUNNING', status_reason: 'generation 2 waits: instance 0: it has no place yet' })
  const explanation = {
    decided_at: minute(1).toISOString(),
    outcome: 'unplaceable',
    summary: 'no cluster at mars',
    clusters: [],
    omitted: 0
  }
  const after = unplaceable(stored(change), 'TargetClusterNotFound', explanation as never, 'scheduler')
  t.match(after?.job, { status: 'RUNNING', status_reason: 'generation 2 waits: instance 0: no cluster at mars' })
})
