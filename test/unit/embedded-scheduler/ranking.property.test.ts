import fc from 'fast-check'
import t from 'tap'
import { createCapacities } from '../../../services/scheduler-client/embedded/capacity.js'
import { createRanking, type Ranked } from '../../../services/scheduler-client/embedded/ranking.js'
import { candidate, PASS } from './sample.js'

const { all: capacities } = createCapacities(Array.from({ length: 40 }, (_, n) => candidate(n, `c${n}`)), PASS.now, PASS.graceMs)

/** Clusters in any order, few of them with a score of their own. */
const entries: fc.Arbitrary<Ranked[]> = fc.shuffledSubarray(capacities).chain(some =>
  fc.tuple(...some.map(capacity => fc.record({ capacity: fc.constant(capacity), score: fc.constantFrom(0, 0.25, 0.5, 1, 2) }))))

const sorted = (entries: Ranked[]) => [...entries].sort((a, b) => b.score - a.score || a.capacity.rank - b.capacity.rank)
const shown = (entry: Ranked | undefined) => entry && `${entry.capacity.name} ${entry.score}`

t.test('the best comes first, whatever is taken out and put in', async () => {
  fc.assert(fc.property(entries, fc.array(fc.oneof(fc.constant('next' as const), fc.constantFrom(0, 0.25, 0.5, 1, 2))), (entries, steps) => {
    const ranking = createRanking([...entries])
    let model = sorted(entries)
    const taken: Ranked[] = []
    for (const step of [...steps, ...entries.map(() => 'next' as const), 'next' as const]) {
      if (shown(ranking.first()) !== shown(model[0])) return false
      if (step === 'next') {
        const best = model.shift()
        if (shown(ranking.next()) !== shown(best)) return false
        if (best) taken.push(best)
      } else {
        // As a pass does: what was taken out comes back with another score.
        const back = taken.pop()
        if (!back) continue
        const entry = { ...back, score: step }
        ranking.add(entry)
        model = sorted([...model, entry])
      }
    }
    return true
  }), { numRuns: 500 })
})
