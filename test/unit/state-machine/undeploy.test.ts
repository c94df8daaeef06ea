import t from 'tap'
import { acknowledged } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { dueAt, expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { revived } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { commands, ETH, eventTypes, HPI, POLICY, runningJob, sent, stored, TUM } from './sample.js'

const HOLDING = { ...POLICY, addressHoldMs: 86_400_000 }
const holdOver = (since: string) => new Date(Date.parse(since) + HOLDING.addressHoldMs)

t.test('a job is UNDEPLOYING from the delete until all clusters have confirmed', async t => {
  const change = undeploying(runningJob([HPI, TUM]), 'user')
  const job = stored(change)
  t.match(job, {
    status: 'UNDEPLOYING',
    status_reason: 'being removed: its clusters have not confirmed yet',
    desired_state: 'undeployed'
  })
  const [first, second] = change!.commands
  const half = stored(acknowledged(job, first!.cluster_id, first!.command_id))
  t.equal(half.status, 'UNDEPLOYING')
  t.equal(stored(acknowledged(half, second!.cluster_id, second!.command_id)).status, 'UNDEPLOYED')
})

t.test('a cluster that never confirms holds the addresses for a while, and gets the command all the same', async t => {
  const job = stored(undeploying(runningJob([HPI]), 'user'))
  const [{ since } = { since: '' }] = job.retiring
  t.equal(dueAt(job, HOLDING), holdOver(since).toISOString())
  t.equal(expireDeadlines(job, HOLDING, 'system', new Date(holdOver(since).getTime() - 1)), undefined)
  const change = expireDeadlines(job, HOLDING, 'system', holdOver(since))
  t.match(change?.job, {
    status: 'UNDEPLOYED',
    service_ip_list: [],
    retiring: [{ cluster_id: HPI, instances: [], released: true }]
  })
  t.same(eventTypes(change), ['released', 'undeployed'])
  t.same(commands(change), [], 'the one in the outbox')
  const gone = stored(change)
  t.equal(dueAt(gone, HOLDING), null)
  t.match(stored(acknowledged(gone, HPI, gone.retiring[0]!.command_id)), { status: 'UNDEPLOYED', retiring: [] })
})

t.test('a forced delete does not wait for anybody', async t => {
  const job = runningJob([HPI])
  const change = undeploying(job, 'user', { force: true })
  t.same(commands(change), [`delete ${HPI}`])
  t.match(change?.job, {
    status: 'UNDEPLOYED',
    service_ip_list: [],
    instance_list: [],
    retiring: [{ cluster_id: HPI, instances: [] }]
  })
  const later = undeploying(stored(undeploying(job, 'user')), 'user', { force: true })
  t.match(later?.job, { status: 'UNDEPLOYED', service_ip_list: [], retiring: [{ released: true }] }, 'also later')
  t.equal(undeploying(stored(later), 'user', { force: true }), undefined)

  const again = stored(revived(stored(change), job.descriptor, 'user'))
  t.match(again, {
    id: job.id,
    status: 'REQUESTED',
    service_ip_list: [{ Address: /^172/ }],
    retiring: [{ cluster_id: HPI }]
  })
})

t.test('what a job that lives on left on a gone cluster gives its addresses back, too', async t => {
  const change = scaled(runningJob([ETH, HPI]), 1, 'user')
  const job = stored(change)
  t.equal(job.retiring[0]?.instances.length, 1)
  const after = expireDeadlines(job, HOLDING, 'system', holdOver(job.retiring[0]!.since))
  t.match(after?.job, { status: 'RUNNING', retiring: [{ instances: [], released: true }] })
  t.equal(stored(acknowledged(stored(after), HPI, sent(change).command_id)).retiring.length, 0)
})
