import t from 'tap'
import { pauseAfter } from '../../services/job-lifecycle/controllers/placement.js'

t.test('placement works a tenth of the time at most, and what it only waited delays it by a retry at most', async t => {
  const retryMs = 5000
  t.equal(pauseAfter({ tookMs: 100, busyMs: 100, retryMs }), 900, 'it worked all the time')
  t.equal(pauseAfter({ tookMs: 2000, busyMs: 2000, retryMs }), 18_000)
  t.equal(pauseAfter({ tookMs: 2000, busyMs: 10, retryMs }), 5000, 'it waited for a database')
  t.equal(pauseAfter({ tookMs: 200, busyMs: 10, retryMs }), 1800)
  t.equal(pauseAfter({ tookMs: 9000, busyMs: 1000, retryMs }), 9000)
})
