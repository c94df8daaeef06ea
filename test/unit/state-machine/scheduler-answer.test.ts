import t from 'tap'
import type { Cluster } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'
import { answered, asked, hasMovedOn, misled } from '../../../services/job-lifecycle/state-machine/decisions/scheduler-answer.js'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { lingering } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { candidate, PASS, silentFor } from '../embedded-scheduler/sample.js'
import { commands, entries, ETH, events, fields, HPI, movedTo, placedJob, runningJob, sampleDescriptor, stored, TUM, updated } from './sample.js'

const { now } = PASS
const decided_at = new Date(now).toISOString()

const hpi = (more: Partial<Cluster> = {}) => ({ ...candidate(1, 'hpi', { id: HPI, ...more }).cluster, active: true })
const unplacedJob = (more: Parameters<typeof sampleDescriptor>[0] = {}): Job => stored(created(sampleDescriptor(more), 'user'))
const named = (job: Job) => ({ job_id: job.id, cluster_id: HPI, generation: job.generation })
const verdict = (fits: boolean, summary: string) => ({
  decided_at,
  outcome: fits ? 'placed' as const : 'unplaceable' as const,
  summary,
  clusters: [{ cluster_id: HPI, cluster_name: 'hpi', fits, score: null, reason: `hpi: ${summary}` }],
  omitted: 0
})

t.test('the cluster that was named gets all instances that the Cloud Scheduler was asked about', async t => {
  const job = unplacedJob({ replicas: 2 })
  const change = answered(job, named(job), hpi(), now)
  t.same(entries(change?.job), [`0 ${HPI} CLUSTER_SCHEDULED`, `1 ${HPI} CLUSTER_SCHEDULED`])
  t.same(commands(change), [`deploy ${HPI}`])
  t.same(change?.job.explanation, verdict(true, 'placed on hpi by the Cloud Scheduler'))
  t.same(change?.events.map(({ cause }) => cause), ['scheduler', 'scheduler', 'scheduler'])
})

t.test('moving instances, and those sent elsewhere, are not for the Cloud Scheduler', async t => {
  const moving = stored(scaled(stored(movedTo(runningJob([TUM]), TUM)), 2, 'user'))
  t.same(entries(answered(moving, named(moving), hpi(), now)?.job), [`0 ${TUM} RUNNING`, `0 - REQUESTED from ${TUM}`, `1 ${HPI} CLUSTER_SCHEDULED`])
})

t.test('its failure is the status of all that has no cluster', async t => {
  const job = stored(scaled(runningJob([TUM]), 3, 'user'))
  const change = answered(job, { job_id: job.id, failure: 'NoActiveClusterWithCapacity' }, undefined, now)
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason'), [
    [TUM, 'RUNNING', null],
    ['', 'NoActiveClusterWithCapacity', 'the Cloud Scheduler found no place'],
    ['', 'NoActiveClusterWithCapacity', 'the Cloud Scheduler found no place']
  ])
  t.same(change?.job.explanation, { decided_at, outcome: 'unplaceable', summary: 'the Cloud Scheduler found no place', clusters: [], omitted: 0 })
})

t.test('an answer about another generation, a job that is placed or one that is being removed is too late', async t => {
  const job = unplacedJob()
  const newer = stored(updated(job, { image: 'nginx:2' }))
  const gone = stored(undeploying(runningJob([TUM]), 'user'))
  gone.instance_list = job.instance_list
  for (const [what, late, answer] of [
    ['generation', newer, named(job)], ['placed', placedJob([TUM]), named(job)], ['removed', gone, named(job)]
  ] as const) {
    t.ok(hasMovedOn(late, answer), what)
    t.equal(answered(late, answer, hpi(), now), undefined, what)
    t.equal(misled(late, answer, now), undefined, what)
  }
  t.notOk(hasMovedOn(newer, { job_id: job.id, cluster_id: HPI }), 'without a generation it is about the job as it is')
  t.notOk(hasMovedOn(job, named(job)))
  t.equal(answered(job, named(job), undefined, now), undefined, 'without the cluster there is nothing to decide')
})

t.test('a cluster that cannot take the job is turned down, with the reason', async t => {
  const refusedFor = (cluster: ReturnType<typeof hpi>, job = unplacedJob()) => {
    const change = answered(job, named(job), cluster, now)
    t.same(commands(change), [])
    t.same(change?.job.explanation, verdict(false, change!.job.explanation!.summary))
    return [change?.job.status, change?.job.status_reason]
  }
  t.same(refusedFor(hpi(), unplacedJob({ cluster_location: 'tum' })), ['TargetClusterNotFound', 'the Cloud Scheduler named hpi, which is not at tum'])
  t.same(refusedFor({ ...hpi({ last_modified_timestamp: silentFor(60) }), active: false }),
    ['TargetClusterNotActive', 'the Cloud Scheduler named hpi, which gave its last sign of life at 2026-01-31T11:59:00.000Z'])
  t.same(refusedFor(hpi({ scheduling: 'cordoned' })), ['TargetClusterNotActive', 'the Cloud Scheduler named hpi, which is cordoned'])
  const leaving = stored(lingering(unplacedJob(), HPI))
  t.same(refusedFor(hpi(), leaving), ['TargetClusterNoCapacity', 'the Cloud Scheduler named hpi, which still has to remove an earlier instance of it'])
})

t.test('a place is a location or a name', async t => {
  for (const place of ['hpi', 'north']) {
    const job = unplacedJob({ cluster_location: place })
    t.same(commands(answered(job, named(job), hpi({ cluster_location: 'north' }), now)), [`deploy ${HPI}`], place)
  }
})

t.test('what another cluster has still to remove is no obstacle', async t => {
  const job = stored(lingering(unplacedJob(), TUM))
  t.same(commands(answered(job, named(job), hpi(), now)), [`deploy ${HPI}`])
})

t.test('what the cluster refused within the last minute it does not get again, the others it does', async t => {
  const job = unplacedJob({ replicas: 3 })
  const refusedAgo = (seconds: number, cluster_id = HPI) => [{ cluster_id, at: new Date(now - seconds * 1000).toISOString(), error: 'full' }]
  job.instance_list[0]!.refusals = refusedAgo(59)
  job.instance_list[1]!.refusals = [...refusedAgo(60), ...refusedAgo(1, ETH)]
  const partly = answered(job, named(job), hpi(), now)
  const some = 'the Cloud Scheduler named hpi, which refused 1 of 3 instances within the last minute'
  t.same(fields(partly?.job, 'cluster_id', 'status', 'status_reason'), [['', 'TargetClusterNoCapacity', some], [HPI, 'CLUSTER_SCHEDULED', null], [HPI, 'CLUSTER_SCHEDULED', null]])
  t.same(partly?.job.explanation, verdict(true, some))

  for (const entry of job.instance_list) entry.refusals = refusedAgo(1)
  const none = answered(job, named(job), hpi(), now)
  const all = 'the Cloud Scheduler named hpi, which refused it within the last minute'
  t.same(fields(none?.job, 'cluster_id', 'status', 'status_reason'), Array(3).fill(['', 'TargetClusterNoCapacity', all]))
  t.same(none?.job.explanation, verdict(false, all))
})

t.test('a cluster that is not registered counts as not found', async t => {
  const job = unplacedJob()
  const change = misled(job, named(job), now)
  t.match(change?.job, { status: 'TargetClusterNotFound', status_reason: `the Cloud Scheduler named ${HPI}, which is no registered cluster` })
  t.equal(change?.job.explanation?.clusters.length, 0)
  t.equal(change?.job.explanation?.decided_at, decided_at)
  t.equal(misled(job, { job_id: job.id, failure: 'TargetClusterNotFound' }, now), undefined)
})

t.test('a pending question shows on the unplaced instances, once', async t => {
  const job = stored(scaled(runningJob([TUM]), 2, 'user'))
  const explanation = { ...verdict(false, 'the Cloud Scheduler is asked'), outcome: 'waiting' as const }
  const change = asked(job, explanation, 'scheduler', new Date(now))
  t.same(fields(change?.job, 'status', 'status_reason'), [['RUNNING', null], ['REQUESTED', explanation.summary]])
  t.same(events(change), ['waiting: the Cloud Scheduler is asked'])
  t.same(change?.job.explanation, explanation)
  t.equal(asked(stored(change), explanation, 'scheduler'), undefined)
  t.equal(asked(stored(undeploying(job, 'user')), explanation, 'scheduler'), undefined)
  t.same(events(asked(job, verdict(false, 'nobody answers'), 'scheduler')), ['unplaceable: nobody answers'])
})

t.test('an original cluster that was named gets one instance, and none when it has one', async t => {
  const original = hpi({ registered_over: 'socket.io' })
  const job = unplacedJob({ replicas: 2 })
  const change = answered(job, named(job), original, now)
  t.same(entries(change?.job), [`0 ${HPI} CLUSTER_SCHEDULED`, '1 - REQUESTED'])
  t.same(fields(change?.job, 'original'), [[true], [false]])
  const again = answered(stored(change), named(job), original, now)
  t.same(entries(again?.job), [`0 ${HPI} CLUSTER_SCHEDULED`, '1 - TargetClusterNoCapacity'])
  t.match(again?.job.explanation?.summary, /^the Cloud Scheduler named hpi, which has an instance of it already/)
})
