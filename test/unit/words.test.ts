import t from 'tap'
import { readInstanceWord, readWords, uniform, wordOn } from '../../schemas/words.js'

const ID = 'a'.repeat(24)
const read = (instances: unknown, status = 'RUNNING') => {
  const { words, warnings } = readWords([{ system_job_id: ID, status, instances }])
  return { word: words.get(ID)!, warnings }
}

t.test(
  'a word on each instance goes before the word on the job, and what cannot be understood is a warning',
  async t => {
    const { word, warnings } = read([
      { instance_number: 0, status: 'RUNNING' },
      { instance_number: 1, status: 'FAILED', status_reason: `Traceback\n${'x'.repeat(3000)}` },
      { instance_number: 2, status: 'ACTIVE' },
      'x',
      { instance_number: 3, status: 'DEAD', status_reason: 12 }
    ])
    t.same(wordOn(word, 0), { status: 'RUNNING', reason: null })
    t.same(wordOn(word, 1), { status: 'FAILED', reason: 'x'.repeat(500) }, 'a long reason is cut')
    t.equal(wordOn(word, 2), undefined)
    t.same(wordOn(word, 3), { status: 'DEAD', reason: null })
    t.equal(uniform(word), null)
    t.match(warnings, [/^jobs\[0\]\.instances\[2\]\.status: /, /^jobs\[0\]\.instances\[3\]: /])
  }
)

t.test('of instances that none can be understood of, the job says nothing; of none at all it does', async t => {
  t.equal(wordOn(read([{ instance_number: 0, status: 'ACTIVE' }]).word, 0), undefined)
  for (const none of [undefined, null, []]) {
    t.same(wordOn(read(none).word, 0), { status: 'RUNNING', reason: null })
    t.equal(uniform(read(none).word), 'RUNNING')
  }
  t.equal(
    uniform(
      read([
        { instance_number: 0, status: 'DEAD' },
        { instance_number: 1, status: 'DEAD' }
      ]).word
    ),
    'DEAD'
  )
})

t.test('an entry that cannot be understood costs no other', async t => {
  const { words, warnings } = readWords([
    { system_job_id: 'x', status: 'RUNNING' },
    { system_job_id: ID, status: 'DEAD' },
    7
  ])
  t.same([...words.keys()], [ID])
  t.equal(warnings.length, 2)
  t.equal(readWords(Array(100).fill(7)).warnings.length, 20)
})

t.test('what a result says besides is read where it can be', async t => {
  t.equal(readInstanceWord({}), undefined)
  t.equal(readInstanceWord({ status: 'ACTIVE' }), undefined)
  t.same(readInstanceWord({ status: 'DEAD', status_reason: ' ' }), { status: 'DEAD', reason: null })
})
