import t from 'tap'
import { createQuestions } from '../../../services/scheduler-client/cloud/questions.js'
import { awaited } from '../../../services/scheduler-client/cloud/sentences.js'
import { created } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { sampleDescriptor, stored } from '../../unit/state-machine/sample.js'

const NOW = 1_000_000
const aJob = () => stored(created(sampleDescriptor(), 'user'))

t.test('a question backs off for longer each time that it comes to nothing, up to a minute', async t => {
  const questions = createQuestions(5000)
  const job = aJob()
  const backoffs = Array.from({ length: 12 }, () => {
    const asked = questions.begin(job, NOW, awaited(NOW))
    questions.backOff(asked, true, NOW)
    return asked.again - NOW
  })
  for (const [index, backoff] of backoffs.entries()) {
    const longest = Math.min(5000 * 2 ** index, 60_000)
    t.ok(backoff >= longest / 2 && backoff <= longest, `${index}: ${backoff}`)
  }
  questions.wakeAll()
  t.equal(questions.get(job, NOW)?.again, 0, 'unless the scheduler is back')
})

t.test('what was answered is not asked again earlier because the scheduler is back', async t => {
  const questions = createQuestions(5000)
  const asked = questions.begin(aJob(), NOW, awaited(NOW))
  questions.backOff(asked, false, NOW)
  questions.wakeAll()
  t.ok(asked.again > NOW)
})

t.test('a newer descriptor is a new question, that has not failed yet', async t => {
  const questions = createQuestions(5000)
  const job = aJob()
  questions.backOff(questions.begin(job, NOW, awaited(NOW)), true, NOW)
  const updated = { ...job, generation: 2 }
  t.equal(questions.get(updated, NOW), undefined)
  t.match(questions.begin(updated, NOW, awaited(NOW)), { failures: 0, failed: false })
})

t.test('questions about jobs that are placed or gone are forgotten', async t => {
  const questions = createQuestions(5000)
  const [gone, there] = [aJob(), aJob()]
  for (const job of [gone, there]) questions.begin(job, NOW, awaited(NOW)).state = 'pending'
  t.equal(questions.pending(), 2)
  t.ok(questions.get(there, NOW + 100_000))
  t.ok(questions.get(there, NOW + 121_000))
  t.equal(questions.pending(), 1)
  t.equal(questions.byId(gone.id), undefined)
})
