import t from 'tap'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { rolledBackTo } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { lost, recovered } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import { carriedOut, commands, ETH, eventTypes, HPI, minutesAfter, movedTo, placedJob, placedOn, POLICY, runningJob, sent, stored, TUM, updated } from './sample.js'

const generations = (job: { instance_list: Array<{ generation: number }> } | undefined) => job?.instance_list.map(({ generation }) => generation)

t.test('a new image is deployed where the instances are, and old reports do not count until it is acknowledged', async t => {
  const job = stored(reported(placedJob([HPI]), HPI, 'RUNNING'))
  const change = updated(job, { replicas: 1, image: 'nginx:2' })
  t.same(commands(change), [`deploy ${HPI}`])
  t.match(change?.job, { generation: 2, status: 'CLUSTER_SCHEDULED' })
  t.equal(reported(stored(change), HPI, 'RUNNING'), undefined)
  const taken = stored(acknowledged(stored(change), HPI, sent(change).command_id))
  t.equal(stored(reported(taken, HPI, 'RUNNING')).status, 'RUNNING')
})

t.test('a refused update leaves the instance where it runs, and goes back to the descriptor before', async t => {
  const change = updated(placedJob([HPI]), { replicas: 1, image: 'nginx:2' })
  const after = refused(stored(change), HPI, sent(change), 'NO_WORKER_CAPACITY')
  t.match(after?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, instance_list: [{ cluster_id: HPI, generation: 3 }], rollout: { rollback: true } })
  t.same(commands(after), [`deploy ${HPI}`])
})

t.test('no more instances are down at a time than max_unavailable, and the update ends when all run', async t => {
  let change = updated(runningJob([HPI, TUM, ETH]), { image: 'nginx:2' })
  for (const cluster of [HPI, TUM, ETH]) {
    t.same(commands(change), [`deploy ${cluster}`])
    const taken = stored(acknowledged(stored(change), cluster, sent(change).command_id))
    change = reported(taken, cluster, 'RUNNING')
  }
  t.match(change?.job, { rollout: null, status: 'RUNNING', generation: 2 })
  t.ok(eventTypes(change).includes('rolled_out'))
  t.same(commands(updated(runningJob([HPI, TUM, ETH]), { image: 'nginx:2', rollout: { max_unavailable: 2 } })), [`deploy ${HPI}`, `deploy ${TUM}`])
})

t.test('what is down is renewed at once, beside those that may be down', async t => {
  const job = stored(reported(runningJob([HPI, TUM, ETH]), ETH, 'FAILED'))
  t.same(commands(updated(job, { image: 'nginx:2' })), [`deploy ${ETH}`], 'one of three is down already')
})

t.test('with a surge none is taken down before those that stand in run, and these go in the end', async t => {
  const change = updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout: { max_surge: 1 } })
  t.same(commands(change), [])
  t.same(generations(change?.job), [1, 1, 2])
  let job = carriedOut(placedOn(stored(change), { 2: ETH }))
  t.same(generations(job), [2, 1, 2])
  for (const cluster of [HPI, TUM]) {
    const awaited = job.instance_list.find(entry => entry.cluster_id === cluster)!.awaits!
    job = stored(reported(stored(acknowledged(job, cluster, awaited)), cluster, 'RUNNING'))
  }
  t.match(job, { rollout: null, retiring: [{ cluster_id: ETH }] })
  t.same(generations(job), [2, 2])
})

t.test('with neither max_unavailable nor max_surge one is down at a time: it could not begin otherwise', async t => {
  t.same(commands(updated(runningJob([HPI, TUM]), { image: 'nginx:2', rollout: { max_unavailable: 0 } })), [`deploy ${HPI}`])
})

t.test('more replicas in the same update do not take the room of its surge', async t => {
  t.equal(updated(runningJob([HPI]), { image: 'nginx:2', replicas: 3, rollout: { max_surge: 1 } })?.job.instance_list.length, 4)
})

t.test('a failure goes back at once for what is down; what the update has not reached just stays', async t => {
  const change = updated(runningJob([HPI, TUM, ETH]), { image: 'broken', rollout: { max_unavailable: 2 } })
  let job = stored(change)
  for (const index of [0, 1]) job = stored(acknowledged(job, [HPI, TUM][index]!, sent(change, index).command_id))
  const failed = reported(job, TUM, 'FAILED')
  t.match(failed?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, rollout: { rollback: true, auto_rollback: false } })
  t.same(commands(failed), [`deploy ${HPI}`, `deploy ${TUM}`])
  t.equal(failed?.job.instance_list[2]?.generation, 3)
  t.ok(eventTypes(failed).includes('rolled_back'))
  t.match(carriedOut(failed), { rollout: null, status: 'RUNNING' })
})

t.test('at its deadline an update goes back, and one that is not to go back takes as much time again', async t => {
  const late = (rollout: object) => {
    const job = stored(updated(runningJob([HPI]), { image: 'nginx:2', rollout: { deadline_s: 60, ...rollout } }))
    const at = minutesAfter(job.updated_at, 1)
    return { at, change: expireDeadlines(job, POLICY, 'system', at) }
  }
  t.match(late({}).change?.job, { generation: 3, rollout: { rollback: true } })
  const { at, change } = late({ auto_rollback: false })
  t.match(change?.job, { generation: 2, rollout: { rollback: false } })
  t.ok(Date.parse(change!.job.rollout!.deadline_at) > at.getTime())
})

t.test('overtaken by the next, a half-done update is not what a failure goes back to', async t => {
  const first = stored(updated(runningJob([HPI, TUM]), { image: 'nginx:2' }))
  const second = updated(first, { image: 'broken' })
  const taken = stored(acknowledged(stored(second), HPI, sent(second).command_id))
  t.match(reported(taken, HPI, 'FAILED')?.job, { generation: 4, descriptor: { image: 'nginx:alpine' } })
})

t.test('an update goes on when a failure has nothing to go back to', async t => {
  const updating = stored(updated(runningJob([HPI]), { image: 'nginx:2' }))
  const job = { ...updating, revisions: [], instance_list: updating.instance_list.map(entry => ({ ...entry, awaits: null })) }
  t.match(reported(job, HPI, 'FAILED')?.job, { generation: 2, rollout: { rollback: false } })
})

t.test('the loss of a cluster is no failure of the update, nor is its return; it follows when it is back', async t => {
  const change = updated(runningJob([HPI, TUM], { cluster_location: 'x' }), { image: 'nginx:2', cluster_location: 'x' })
  const away = stored(lost(stored(change), TUM, 'tum', 'system'))
  const updatedHalf = stored(reported(stored(acknowledged(away, HPI, sent(change).command_id)), HPI, 'RUNNING'))
  t.match(updatedHalf, { rollout: null, generation: 2 })
  const back = recovered(updatedHalf, TUM, 'tum', 'system')
  t.match(back?.job, { generation: 2 })
  t.same(commands(back), [`deploy ${TUM}`])
  t.match(carriedOut(back), { status: 'RUNNING', instance_list: [{ generation: 2 }, { generation: 2 }] })
})

t.test('a drain that finds no place does not hold up an update', async t => {
  const draining = stored(movedTo(runningJob([HPI, TUM]), HPI, { why: 'drain', location: null }))
  const change = updated(draining, { image: 'nginx:2' })
  t.same(commands(change), [`deploy ${TUM}`])
  t.equal(carriedOut(change).rollout, null)
})

t.test('a user goes back to a revision by an update like any other', async t => {
  const job = carriedOut(updated(runningJob([HPI]), { image: 'nginx:2' }))
  const change = rolledBackTo(job, job.revisions[0]!, { policy: POLICY, cause: 'user', mayStay: () => true })
  t.match(change?.job, { generation: 3, descriptor: { image: 'nginx:alpine' }, rollout: { rollback: false }, revisions: [{ generation: 2 }, { generation: 1 }] })
})
