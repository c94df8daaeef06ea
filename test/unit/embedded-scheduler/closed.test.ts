import t from 'tap'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import { candidate, idOf, job, PASS } from './sample.js'

const ago = (seconds: number) => new Date(PASS.now - seconds * 1000).toISOString()
const summary = (decision: { explanation: { summary: string } }) => decision.explanation.summary

t.test('a cordoned and a draining cluster take nothing, and the verdict shows why', async t => {
  for (const [scheduling, words] of [['cordoned', 'hpi: is cordoned'], ['draining', 'hpi: is being drained']] as const) {
    const decision = createPass([candidate(1, 'hpi', { scheduling })], PASS).decide(job())
    t.match(decision, { kind: 'unplaceable', failure: 'NoActiveClusterWithCapacity' })
    t.equal(summary(decision), words)
  }
})

t.test('a cluster that comes and goes has to be steady for longer each time before it is trusted again', async t => {
  const decide = (losses: number, steadyS: number) => createPass([candidate(1, 'hpi', { losses, recovered_at: ago(steadyS) })], PASS).decide(job())
  t.equal(decide(1, 0).kind, 'placed', 'once is no habit')
  t.equal(
    summary(decide(2, 20)),
    'hpi: was lost 2 times recently, and gets new instances at 2026-01-31T12:00:40Z if it stays'
  )
  t.equal(decide(2, 61).kind, 'placed')
  t.equal(decide(4, 200).kind, 'unplaceable')
  t.equal(decide(4, 241).kind, 'placed')
  t.equal(decide(50, 3601).kind, 'placed', 'an hour at most')
})

t.test('a cluster that refused again and again is left alone for longer each time', async t => {
  const refusedBy = (times: number, secondsAgo: number) => {
    const asked = job()
    asked.instance_list[0]!.refusals = Array.from({ length: times }, () => ({ cluster_id: idOf(1), at: ago(secondsAgo), error: 'NO_WORKER_CAPACITY' }))
    return createPass([candidate(1, 'hpi')], PASS).decide(asked).kind
  }
  t.equal(refusedBy(1, 61), 'placed')
  t.equal(refusedBy(3, 61), 'unplaceable')
  t.equal(refusedBy(3, 241), 'placed')
  t.equal(refusedBy(20, 1801), 'placed', 'half an hour at most')
})

t.test('an instance goes neither back to where it moves away from nor to where an earlier one is still being removed', async t => {
  const moving = job({ instances: [idOf(1)] })
  moving.instance_list.push({ ...moving.instance_list[0]!, cluster_id: '', move: { from: idOf(1), why: 'drain', since: ago(1) } })
  t.match(createPass([candidate(1, 'hpi'), candidate(2, 'tum')], PASS).decide(moving), { assignments: [{ instance_number: 0, cluster_id: idOf(2) }] })
  t.equal(summary(createPass([candidate(1, 'hpi')], PASS).decide(moving)), 'hpi: the instance is moving away from it')

  const removed = {
    ...job(),
    retiring: [
      {
        command_id: 'c',
        cluster_id: idOf(1),
        instances: [],
        error: null,
        since: new Date(0).toISOString(),
        released: false,
        original: false,
        told: null
      }
    ]
  }
  t.equal(summary(createPass([candidate(1, 'hpi')], PASS).decide(removed)), 'hpi: still has to remove an earlier instance of it')
})

t.test('the location of a move takes precedence over the descriptor, for that instance alone', async t => {
  const asked = job({ location: 'hpi', instances: ['', '', ''] })
  asked.instance_list[1]!.location = 'tum'
  asked.instance_list[2]!.location = ''
  const decision = createPass([candidate(1, 'hpi'), candidate(2, 'tum'), candidate(3, 'eth', { total_cpu_cores: 64, memory_in_mb: 64_000 })], PASS).decide(asked)
  t.match(decision, { kind: 'placed', assignments: [{ instance_number: 0, cluster_id: idOf(1) }, { instance_number: 1, cluster_id: idOf(2) }, { instance_number: 2, cluster_id: idOf(3) }] })
})

t.test('of instances that ask for different places, one that finds none does not keep the others', async t => {
  const asked = job({ location: 'hpi', instances: ['', ''] })
  asked.instance_list[1]!.location = 'mars'
  t.match(createPass([candidate(1, 'hpi')], PASS).decide(asked), {
    kind: 'placed', failure: 'TargetClusterNotFound', assignments: [{ instance_number: 0, cluster_id: idOf(1) }], explanation: { summary: /placed on hpi; no cluster named mars/ }
  })
})

t.test('pack prefers where the job is already, and the fuller cluster', async t => {
  const packed = (instances: string[]) => {
    const asked = job({ instances })
    asked.descriptor.placement = 'pack'
    return createPass([candidate(1, 'hpi'), candidate(2, 'tum', { total_cpu_cores: 2 })], PASS).decide(asked)
  }
  t.match(packed(['']), { assignments: [{ cluster_id: idOf(2) }] }, 'the fuller one')
  t.match(packed([idOf(1), '']), { assignments: [{ cluster_id: idOf(1) }] }, 'where it is')
})
