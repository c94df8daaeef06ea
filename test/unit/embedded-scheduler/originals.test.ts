import t from 'tap'
import type { Cluster } from '../../../schemas/cluster.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import type { PlacementDecision } from '../../../services/scheduler-client/scheduler.js'
import { candidate, idOf, job, PASS } from './sample.js'

/** An original cluster takes one instance of a job (contract section 10). */

const original = (n: number, name: string, more: Partial<Cluster> = {}) =>
  candidate(n, name, { registered_over: 'socket.io', ...more })

const assigned = (decision: PlacementDecision) =>
  decision.kind === 'placed'
    ? decision.assignments.map(
      ({ instance_number: number, cluster_id: id, original: is }) => `${number} ${Number(`0x${id}`)} ${is}`
    )
    : decision.kind

const FULL = 'has an instance of it already, and takes no second one'

t.test('one instance goes there, the next to another cluster, though that is fuller', async t => {
  const clusters = [original(1, 'hpi', { total_cpu_cores: 64 }), candidate(2, 'tum', { total_cpu_cores: 2 })]
  const decision = createPass(clusters, PASS).decide(job({ instances: ['', '', ''] }))
  t.same(assigned(decision), ['0 1 true', '1 2 false', '2 2 false'])
})

t.test('what finds no other cluster waits, and says why', async t => {
  const decision = createPass([original(1, 'hpi')], PASS).decide(job({ instances: ['', ''] }))
  t.same(assigned(decision), ['0 1 true'])
  t.match(decision, {
    failure: 'NoActiveClusterWithCapacity',
    explanation: { summary: `placed 1 of 2 instances; hpi: ${FULL}` }
  })
})

t.test('an instance that is there already is the one', async t => {
  const decision = createPass([original(1, 'hpi')], PASS).decide(job({ instances: [idOf(1), ''] }))
  t.match(decision, {
    kind: 'unplaceable',
    failure: 'NoActiveClusterWithCapacity',
    explanation: { summary: `hpi: ${FULL}` }
  })
})

t.test('that one job has its instance there says nothing about the next one', async t => {
  const pass = createPass([original(1, 'hpi')], PASS)
  t.same(assigned(pass.decide(job({ instances: ['', ''] }))), ['0 1 true'])
  t.same(assigned(pass.decide(job())), ['0 1 true'])
  t.equal(assigned(pass.decide(job({ instances: [idOf(1), ''] }))), 'unplaceable')
  t.same(assigned(pass.decide(job({ instances: [''] }))), ['0 1 true'])
})

t.test('of instances that are sent to different places each place counts those of the other', async t => {
  const asked = job({ instances: ['', ''] })
  asked.instance_list[1]!.location = 'hpi'
  const decision = createPass([original(1, 'hpi')], PASS).decide(asked)
  t.same(assigned(decision), ['0 1 true'])
})
