import t from 'tap'
import type { Command } from '../../../schemas/channel.js'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { changesStatus, detailed } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
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
  runningJob,
  sent,
  stored,
  TUM,
  updated,
  reported
} from './sample.js'

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
  const traceback = refused(job, HPI, command, 'Traceback: NO_WORKER_CAPACITY\n  File "app.py"\nValueError: no room\n')
  t.match(events(traceback)[0], /deploy was refused: ValueError: no room$/)
  const placed = { cluster_id: '', status: 'NO_WORKER_CAPACITY' }
  t.match(traceback?.job.instance_list[0], placed, 'what it lacks may be said before')
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
  t.equal(reported(stored(after), HPI, 'RUNNING'), undefined, 'what runs there is the descriptor before')
})

t.test('a late refusal of a command that another has overtaken changes no instance', async t => {
  const job = placedJob([HPI])
  const newer = stored(updated(job, { image: 'nginx:2' }))
  const change = refused(newer, HPI, { seq: 1, command_id: 'older', kind: 'deploy', job_id: job.id }, 'boom')
  t.same(change?.job.instance_list, newer.instance_list)
  t.same(commands(change), [])
})

t.test('a report shows each instance that changed, and who sent it', async t => {
  const change = reported(placedJob([HPI, TUM, HPI]), HPI, 'NODE_SCHEDULED')
  t.same(fields(change?.job, 'status', 'status_reason'), [['NODE_SCHEDULED', null], ['CLUSTER_SCHEDULED', null], ['NODE_SCHEDULED', null]])
  t.same(events(change), [0, 2].map(number => `status ${number} @hpi CLUSTER_SCHEDULED>NODE_SCHEDULED: instance ${number} is NODE_SCHEDULED`))
  t.same(change?.events.map(({ cause }) => cause), [`cluster ${HPI}`, `cluster ${HPI}`])
})

t.test('starts are counted until it runs', async t => {
  const job = placedJob([HPI])
  job.instance_list[0]!.attempts = 2
  t.same(fields(reported(job, HPI, 'CREATED')?.job, 'attempts'), [[2]])
  t.same(fields(reported(job, HPI, 'RUNNING')?.job, 'attempts'), [[0]])
})

t.test('an instance that its cluster ended without a command is DEAD and shows why', async t => {
  t.same(fields(reported(runningJob([HPI]), HPI, 'UNDEPLOYED')?.job, 'status', 'status_reason'), [['DEAD', 'the cluster reports it as undeployed, without a command']])
  t.ok(changesStatus('RUNNING', 'UNDEPLOYED'))
  t.notOk(changesStatus('RUNNING', 'CREATED'))
})

t.test('of an instance that moves, host details go to the end on the cluster that sent them', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI]), HPI)), { 0: TUM }))
  const told = (host_ip: string) => ({ job_id: moving.id, instances: [{ instance_number: 0, host_ip, host_port: 1 }] })
  t.same(fields(detailed(moving, told('10.0.0.1'), HPI)?.job, 'cluster_id', 'host_ip', 'status'), [[HPI, '10.0.0.1', 'RUNNING'], [TUM, '', 'CLUSTER_SCHEDULED']])
  const there = detailed(moving, told('10.0.0.2'), TUM)
  t.same(fields(there?.job, 'cluster_id', 'host_ip', 'status'), [[HPI, '', 'RUNNING'], [TUM, '10.0.0.2', 'DEPLOYED']])
  t.same(events(there), ['details 0 @tum: instance 0 runs at 10.0.0.2:1', 'status 0 @tum CLUSTER_SCHEDULED>DEPLOYED: instance 0 is DEPLOYED'])
  t.same(there?.events.map(({ cause }) => cause), [`cluster ${TUM}`, `cluster ${TUM}`])
  t.equal(detailed(moving, told('10.0.0.3'), ETH), undefined)
})

t.test('over HTTP host details go to the end without any, else to the successor; never to what has no cluster', async t => {
  const moving = stored(placedOn(stored(movedTo(runningJob([HPI, HPI]), HPI, { numbers: new Set([0]) })), { 0: TUM }))
  const told = (host_ip: string) => ({ job_id: moving.id, instances: [{ instance_number: 0, host_ip, host_port: 1 }] })
  moving.instance_list[0]!.host_ip = '10.0.0.1'
  const first = detailed(moving, told('10.0.0.2'))
  t.same(fields(first?.job, 'instance_number', 'cluster_id', 'host_ip'), [[0, HPI, '10.0.0.1'], [0, TUM, '10.0.0.2'], [1, HPI, '']])
  t.equal(first?.events[0]?.cause, 'cluster')
  t.same(fields(detailed(stored(first), told('10.0.0.3'))?.job, 'host_ip'), [['10.0.0.1'], ['10.0.0.3'], ['']])
  Object.assign(moving.instance_list[0]!, { host_ip: '' })
  t.same(fields(detailed(moving, told('10.0.0.2'))?.job, 'host_ip'), [['10.0.0.2'], [''], ['']], 'neither has')
  Object.assign(moving.instance_list[1]!, { host_ip: '10.0.0.1' })
  t.same(fields(detailed(moving, told('10.0.0.2'))?.job, 'host_ip'), [['10.0.0.2'], ['10.0.0.1'], ['']], 'the successor was first')
  const waiting = stored(movedTo(runningJob([HPI]), HPI))
  waiting.instance_list[0]!.host_ip = '10.0.0.1'
  t.same(fields(detailed(waiting, told('10.0.0.2'))?.job, 'cluster_id', 'host_ip'), [[HPI, '10.0.0.2'], ['', '']])
  t.equal(detailed(moving, { job_id: moving.id, instances: [{ instance_number: 7, host_ip: '10.0.0.9' }] }), undefined)
})

t.test('what a result leaves out stays as it was, and one instance that is unknown does not hide the others', async t => {
  const job = runningJob([HPI, HPI])
  Object.assign(job.instance_list[1]!, { namespace_ip: '10.18.0.2', host_ip: '10.0.0.1', host_port: 50103 })
  const change = detailed(job, { job_id: job.id, instances: [{ instance_number: 7 }, { instance_number: 1, host_ip: '10.0.0.2' }] }, HPI)
  t.same(fields(change?.job, 'namespace_ip', 'host_ip', 'host_port'), [
    ['', '', null],
    ['10.18.0.2', '10.0.0.2', 50103]
  ])
  for (const [key, value] of [['namespace_ip', '10.18.0.3'], ['host_port', 50104]] as const) {
    const more = detailed(job, { job_id: job.id, instances: [{ instance_number: 1, [key]: value }] }, HPI)?.job.instance_list[1]
    t.same(more, { ...job.instance_list[1], [key]: value })
  }
})

t.test('while a command is awaited a result does not count as a start', async t => {
  const change = updated(placedJob([HPI]), { image: 'nginx:2' })
  const job = stored(change)
  t.same(fields(detailed(job, { job_id: job.id, instances: [{ instance_number: 0, host_ip: '10.0.0.1' }] }, HPI)?.job, 'status', 'host_ip'), [['CLUSTER_SCHEDULED', '10.0.0.1']])
})

t.test('a refusal for lack of room is remembered, and the instance leaves with its reason', async t => {
  const job = placedJob([HPI, TUM])
  for (const why of ['NO_WORKER_CAPACITY', 'NO_QUALIFIED_WORKER_FOUND', 'NO_NODE_FOUND'] as const) {
    const change = refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, `${why}: sorry`)
    t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason'), [['', why, `the cluster refused: ${why}: sorry`], [TUM, 'CLUSTER_SCHEDULED', null]])
    t.same(change?.job.instance_list[0]?.refusals, [
      { cluster_id: HPI, at: change!.job.updated_at, error: `${why}: sorry`, offered: null }
    ])
    t.same(events(change), [
      `refused @hpi: deploy was refused: ${why}: sorry`,
      `status 0 @hpi CLUSTER_SCHEDULED>${why}: instance 0 is ${why}: the cluster refused: ${why}: sorry`,
      'retiring @hpi: hpi is to remove instance 0'
    ])
  }
})

t.test('twenty refusals are remembered, the newest', async t => {
  let job = placedJob([HPI])
  const refusing = (n: number) => refused(job, HPI, { seq: 1, command_id: 'x', kind: 'deploy', job_id: job.id }, `NO_NODE_FOUND ${n}`)
  for (let n = 0; n < 21; n++) job = stored(placedOn(stored(refusing(n)), { 0: HPI }))
  t.same(job.instance_list[0]?.refusals.map(({ error }) => error), Array.from({ length: 20 }, (_, n) => `NO_NODE_FOUND ${n + 1}`))
})

t.test('a refused removal leaves what runs there alone', async t => {
  for (const kind of ['delete', 'move'] as const) {
    const job = placedJob([HPI])
    const change = refused(job, HPI, { seq: 1, command_id: 'x', kind, job_id: job.id }, 'boom')
    t.same(change?.job.instance_list, job.instance_list)
    t.same(events(change), [`refused @hpi: ${kind} was refused: boom`])
  }
})

t.test('a refused replicate takes away what it brought, not what waits for another command', async t => {
  const change = placedOn(stored(scaled(runningJob([HPI]), 3, 'user')), { 1: HPI, 2: TUM })
  const after = refused(stored(change), HPI, sent(change), 'boom')
  t.same(fields(after?.job, 'cluster_id', 'status', 'status_reason'), [[HPI, 'RUNNING', null], [HPI, 'FAILED', 'the cluster refused: boom'], [TUM, 'CLUSTER_SCHEDULED', null]])
})

t.test('only the refused removal shows the refusal and its time', async t => {
  const change = scaled(runningJob([HPI, HPI, TUM]), 1, 'user')
  const after = refused(stored(change), HPI, sent(change), 'busy')
  t.match(after?.job.retiring, [{ cluster_id: HPI, error: 'busy', refused_at: after!.job.updated_at }, { cluster_id: TUM, error: null, refused_at: undefined }])
  t.equal(after?.job.status_reason, null)
})

t.test('an acknowledgement shows what was taken and what was removed', async t => {
  const shrinking = scaled(runningJob([HPI, HPI, HPI]), 1, 'user')
  const gone = acknowledged(stored(shrinking), HPI, sent(shrinking).command_id)
  t.same(events(gone), ['retired @hpi: the cluster removed 2 instances'])
  t.match(gone?.events, [{ cause: `cluster ${HPI}` }])
  const renewing = updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout: { max_unavailable: 2 } })
  const taken = acknowledged(stored(renewing), HPI, sent(renewing).command_id)
  t.same(events(taken), ['acknowledged 0 @hpi: instance 0: the cluster acknowledged the newest descriptor'])
  t.same(fields(taken?.job, 'awaits'), [[null], [sent(renewing, 1).command_id]])
  t.equal(acknowledged(stored(taken), HPI, 'unknown'), undefined)
})

t.test('a report leaves an instance alone that it does not change', async t => {
  const job = runningJob([HPI, HPI])
  Object.assign(job.instance_list[0]!, { status: 'DEAD', silent: true })
  t.same(fields(reported(job, HPI, 'DEAD')?.job, 'status', 'silent'), [['DEAD', true], ['DEAD', false]])
})

t.test('a refused or acknowledged removal ends only the wait for that removal', async t => {
  const change = movedTo(runningJob([HPI, TUM]), HPI, { from: new Set([HPI, TUM]), location: null, order: 'stop-first' })
  const awaits = [[null], [sent(change, 1).command_id]]
  t.same(fields(refused(stored(change), HPI, sent(change), 'busy')?.job, 'awaits'), awaits)
  const gone = acknowledged(stored(change), HPI, sent(change).command_id)
  t.same(fields(gone?.job, 'awaits'), awaits)
  t.same(events(gone), ['retired @hpi: the cluster removed 1 instance'])
})

t.test('a command asks again for what its own cluster refused to remove, and for nothing else', async t => {
  const job = runningJob([HPI, HPI])
  const removal = {
    instances: [],
    refused_at: job.created_at,
    since: job.created_at,
    released: false,
    original: false,
    told: null
  }
  job.retiring = [
    { ...removal, command_id: 'refused here', cluster_id: HPI, error: 'busy' },
    { ...removal, command_id: 'under way here', cluster_id: HPI, error: null },
    { ...removal, command_id: 'refused there', cluster_id: TUM, error: 'busy' }
  ]
  const change = scaled(job, 1, 'user')
  const { command_id: id } = sent(change)
  t.same(change?.job.retiring.map(({ command_id, cluster_id, error }) => [command_id, cluster_id, error]), [
    [id, HPI, null], ['under way here', HPI, null], ['refused there', TUM, 'busy'], [id, HPI, null]
  ])
})
