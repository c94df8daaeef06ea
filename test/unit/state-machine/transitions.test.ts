import fc from 'fast-check'
import t from 'tap'
import { STATUSES, WAY_UP, type Status } from '../../../schemas/status.js'
import { mayBecome, reportedStatus, TRANSITIONS, worst, type Trigger } from '../../../services/job-lifecycle/state-machine/transitions.js'

const rung = (status: Status): number => {
  const at = WAY_UP.indexOf((status === 'CREATING' ? 'CREATED' : status) as typeof WAY_UP[number])
  return at
}

t.test('the table has a row for every status and leads only to statuses of the contract', async t => {
  t.same(Object.keys(TRANSITIONS).sort(), [...STATUSES].sort())
  for (const row of Object.values(TRANSITIONS)) {
    for (const targets of Object.values(row)) for (const to of targets) t.ok(STATUSES.includes(to))
  }
})

t.test('no report ever moves an instance back along the way up, whatever comes in whatever order', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.constantFrom(...WAY_UP), fc.array(fc.constantFrom(...WAY_UP)), (start, reports) => {
    let status: Status = start
    for (const told of reports) {
      if (!mayBecome(status, 'reported', told)) continue
      if (rung(told) <= rung(status)) return false
      status = told
    }
    return true
  })))
})

t.test('CREATING and CREATED are one rung', async t => {
  t.notOk(mayBecome('CREATING', 'reported', 'CREATED'))
  t.notOk(mayBecome('CREATED', 'reported', 'CREATING'))
  t.ok(mayBecome('NODE_SCHEDULED', 'reported', 'CREATING'))
  t.ok(mayBecome('CREATING', 'reported', 'DEPLOYED'))
})

t.test('a running service that died and was restarted by its cluster shows as RUNNING again', async t => {
  for (const stop of ['FAILED', 'DEAD'] as const) {
    t.ok(mayBecome('RUNNING', 'reported', stop))
    t.ok(mayBecome(stop, 'reported', 'RUNNING'))
  }
})

t.test('a completed service stays completed, whatever late report comes', async t => {
  for (const status of STATUSES) t.notOk(mayBecome('COMPLETED', 'reported', status), status)
})

t.test('no report counts for an instance that is not on a cluster', async t => {
  for (const from of ['REQUESTED', 'TargetClusterNotFound', 'NoActiveClusterWithCapacity', 'UNDEPLOYED'] as const) {
    for (const to of STATUSES) t.notOk(mayBecome(from, 'reported', to), `${from} to ${to}`)
  }
})

t.test('nothing leaves UNDEPLOYED', async t => {
  const news: Trigger[] = ['placed', 'unplaceable', 'reported', 'started', 'refused', 'recalled', 'renewed']
  for (const kind of news) for (const to of STATUSES) t.notOk(mayBecome('UNDEPLOYED', kind, to))
})

t.test('an undeployment that nobody asked for is told as DEAD', async t => {
  t.equal(reportedStatus('UNDEPLOYED'), 'DEAD')
  t.equal(reportedStatus('RUNNING'), 'RUNNING')
})

t.test('a job is as well as its worst instance', async t => {
  const of = (...statuses: Status[]) => worst(statuses.map(status => ({ status })))?.status
  t.equal(of('RUNNING', 'RUNNING'), 'RUNNING')
  t.equal(of('RUNNING', 'CREATED'), 'CREATED')
  t.equal(of('RUNNING', 'NoActiveClusterWithCapacity', 'REQUESTED'), 'NoActiveClusterWithCapacity')
  t.equal(of('REQUESTED', 'DEAD', 'FAILED'), 'FAILED')
  t.equal(of('COMPLETED', 'RUNNING'), 'RUNNING')
  t.equal(of(), undefined)
})
