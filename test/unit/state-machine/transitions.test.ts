import fc from 'fast-check'
import t from 'tap'
import { CLUSTER_REFUSALS, STATUSES, WAY_UP, type Status } from '../../../schemas/status.js'
import { mayBecome, reportedStatus, TRANSITIONS, worst, type Trigger } from '../../../services/job-lifecycle/state-machine/transitions.js'

/** May an instance that was not given up go this way? */
const may = (status: Status, trigger: Trigger, to: Status) =>
  mayBecome({ status, given_up: false, original: false }, trigger, to)

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
      if (!may(status, 'reported', told)) continue
      if (rung(told) <= rung(status)) return false
      status = told
    }
    return true
  })))
})

t.test('CREATING and CREATED are one rung', async t => {
  t.notOk(may('CREATING', 'reported', 'CREATED'))
  t.notOk(may('CREATED', 'reported', 'CREATING'))
  t.ok(may('NODE_SCHEDULED', 'reported', 'CREATING'))
  t.ok(may('CREATING', 'reported', 'DEPLOYED'))
})

t.test('a running service that died and was restarted by its cluster shows as RUNNING again', async t => {
  for (const stop of ['FAILED', 'DEAD'] as const) {
    t.ok(may('RUNNING', 'reported', stop))
    t.ok(may(stop, 'reported', 'RUNNING'))
  }
})

t.test('a completed service stays completed, whatever late report comes', async t => {
  for (const status of STATUSES) t.notOk(may('COMPLETED', 'reported', status), status)
})

t.test('no report counts for an instance that is not on a cluster', async t => {
  for (const from of ['REQUESTED', 'TargetClusterNotFound', 'NoActiveClusterWithCapacity', 'UNDEPLOYED'] as const) {
    for (const to of STATUSES) t.notOk(may(from, 'reported', to), `${from} to ${to}`)
  }
})

t.test('nothing leaves UNDEPLOYED', async t => {
  const triggers: Trigger[] = ['placed', 'unplaceable', 'reported', 'started', 'refused', 'recalled', 'renewed']
  for (const kind of triggers) for (const to of STATUSES) t.notOk(may('UNDEPLOYED', kind, to))
})

t.test('what was given up leads to RUNNING or COMPLETED by reports, and anywhere else only by a user', async t => {
  const ofOne = (original: boolean, trigger: Trigger) =>
    STATUSES.filter(to => mayBecome({ status: 'FAILED', given_up: true, original }, trigger, to))
  const of = (trigger: Trigger) => ofOne(false, trigger)
  t.same(ofOne(true, 'reported'), ['DEPLOYED', 'RUNNING', 'COMPLETED'], 'an original cluster never says RUNNING')
  t.same(ofOne(true, 'started'), ['DEPLOYED'])
  t.same(of('reported'), ['RUNNING', 'COMPLETED'])
  t.same(of('renewed'), ['CLUSTER_SCHEDULED'])
  t.same(of('recalled'), ['REQUESTED'])
  for (const trigger of ['placed', 'unplaceable', 'started', 'refused', 'lost', 'recovered', 'gave_up'] as const) t.same(of(trigger), [], trigger)
})

t.test('UNDEPLOYED without a command shows as DEAD', async t => {
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

t.test('what a cluster refused may run there after all, be refused again, be lost, recalled or placed anew', async t => {
  for (const refusal of CLUSTER_REFUSALS) {
    for (const [trigger, to] of [
      ['reported', 'NODE_SCHEDULED'], ['reported', 'RUNNING'], ['reported', 'FAILED'], ['started', 'DEPLOYED'], ['refused', 'FAILED'],
      ['recalled', 'REQUESTED'], ['renewed', 'CLUSTER_SCHEDULED'], ['lost', 'DEAD'], ['gave_up', 'FAILED'],
      ['placed', 'CLUSTER_SCHEDULED'], ['unplaceable', 'NoActiveClusterWithCapacity']
    ] as const) t.ok(may(refusal, trigger, to), `${refusal} ${trigger} ${to}`)
  }
})

t.test('of the statuses of instances the worst decides, in this order', async t => {
  const order = ['FAILED', 'DEAD', ...CLUSTER_REFUSALS, 'TargetClusterNotFound', 'REQUESTED', 'CLUSTER_SCHEDULED', 'NODE_SCHEDULED', 'CREATING', 'DEPLOYED', 'RUNNING', 'COMPLETED'] as const
  for (const [n, bad] of order.entries()) {
    for (const better of order.slice(n + 1)) {
      t.equal(worst([{ status: better }, { status: bad }])?.status, bad, `${bad} before ${better}`)
      t.equal(worst([{ status: bad }, { status: better }])?.status, bad, `${bad} before ${better}`)
    }
  }
})
