import t from 'tap'
import { delivery } from '../../../services/job-lifecycle/state-machine/decisions/delivery.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { commands, entries, events, fields, HPI, placedJob, runningJob, stored, TUM, reported } from './sample.js'

const UNREACHABLE = 'hpi has no open channel'

t.test('why a command has not come to its end shows on what waits for it on that cluster, and on nothing else', async t => {
  const job = stored(reported(placedJob([HPI, TUM, HPI]), TUM, 'NODE_SCHEDULED'))
  const change = delivery(job, HPI, UNREACHABLE)
  t.same(fields(change?.job, 'cluster_id', 'status', 'status_reason'), [
    [HPI, 'CLUSTER_SCHEDULED', UNREACHABLE], [TUM, 'NODE_SCHEDULED', null], [HPI, 'CLUSTER_SCHEDULED', UNREACHABLE]
  ])
  t.same(events(change), [`delivery @hpi: ${UNREACHABLE}`])
  t.match(change?.events, [{ cause: `cluster ${HPI}` }])
  t.same(commands(change), [])
  t.equal(change?.job.status_reason, `instance 0: ${UNREACHABLE}`)
  t.equal(delivery(stored(change), HPI, UNREACHABLE), undefined, 'the same again changes nothing')
  t.equal(delivery(job, TUM, UNREACHABLE), undefined, 'it has begun there')
})

t.test('an instance that shows the reason already does not hide it from the others', async t => {
  const job = placedJob([HPI, HPI])
  job.instance_list[1]!.status_reason = UNREACHABLE
  t.same(fields(delivery(job, HPI, UNREACHABLE)?.job, 'status_reason'), [[UNREACHABLE], [UNREACHABLE]])
})

t.test('once the cluster is reached the reason is gone', async t => {
  const over = delivery(stored(delivery(placedJob([HPI]), HPI, UNREACHABLE)), HPI, null)
  t.same(fields(over?.job, 'status', 'status_reason'), [['CLUSTER_SCHEDULED', null]])
  t.same(events(over), ['delivery @hpi: the cluster was reached'])
})

t.test('what has begun or runs does not wait for a command', async t => {
  t.equal(delivery(runningJob([HPI]), HPI, UNREACHABLE), undefined)
})

t.test('a job that is being removed shows what the removal waits for, until that cluster has confirmed', async t => {
  const job = stored(undeploying(runningJob([HPI]), 'user'))
  const change = delivery(job, HPI, UNREACHABLE)
  t.match(change?.job, { status: 'UNDEPLOYING', status_reason: `being removed: ${UNREACHABLE}` })
  t.same(entries(change?.job), [])
  t.equal(delivery(stored(change), HPI, UNREACHABLE), undefined, 'the same again changes nothing')
  t.equal(delivery(stored(change), HPI, null)?.job.status_reason, 'being removed: its clusters have not confirmed yet')
  t.equal(delivery(job, TUM, UNREACHABLE), undefined, 'nothing is to be removed there')
  const both = stored(undeploying(runningJob([HPI, TUM]), 'user'))
  t.equal(delivery(both, HPI, UNREACHABLE)?.job.status_reason, `being removed: ${UNREACHABLE}`)
})

t.test('a removal from a job that lives on shows nothing on its running instances', async t => {
  const job = runningJob([HPI])
  job.retiring = [
    {
      command_id: 'x',
      cluster_id: TUM,
      instances: [],
      error: null,
      since: new Date().toISOString(),
      released: false,
      original: false,
      told: null
    }
  ]
  t.equal(delivery(job, TUM, UNREACHABLE), undefined)
})
