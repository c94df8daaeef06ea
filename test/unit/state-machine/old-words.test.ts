import t from 'tap'
import type { Instance, Job } from '../../../schemas/job.js'
import { openEdit } from '../../../services/job-lifecycle/state-machine/job-edit.js'
import {
  isOldWord,
  mayRepeatOldWord,
  rememberRemoval,
  rememberWord
} from '../../../services/job-lifecycle/state-machine/old-words.js'
import { ETH, HPI, placedJob, TUM } from './sample.js'

const AT = '2026-01-31T12:00:00.000Z'

/** A job that two original clusters have removed; its instance is on the first again, and was sent there. */
function job (): { job: Job, instance: Instance } {
  const job = placedJob([HPI])
  job.removals = [{ cluster_id: TUM, at: AT, told: 'FAILED' }, { cluster_id: HPI, at: AT, told: 'DEPLOYED' }]
  const instance = job.instance_list[0]!
  instance.original = true
  return { job, instance }
}

t.test('an old word is the last one of this cluster, until the cluster has said anything of what runs now', async t => {
  const { job: one, instance } = job()
  t.equal(isOldWord(one, instance, 'DEPLOYED'), true)
  t.equal(isOldWord(one, instance, 'FAILED'), false, 'that of another cluster')
  t.equal(isOldWord(one, { ...instance, told: 'NODE_SCHEDULED' }, 'DEPLOYED'), false)
  t.equal(isOldWord(one, { ...instance, original: false }, 'DEPLOYED'), false)
})

t.test('an old word may hide how far an instance is as long as nothing else was said', async t => {
  const { job: one, instance } = job()
  t.equal(mayRepeatOldWord(one, instance), true)
  t.equal(mayRepeatOldWord(one, { ...instance, told: 'DEPLOYED' }), false)
  t.equal(mayRepeatOldWord(one, { ...instance, original: false }), false)
  t.equal(mayRepeatOldWord(one, { ...instance, status: 'FAILED' }), false)
  t.equal(mayRepeatOldWord(one, { ...instance, cluster_id: ETH }), false, 'it has removed nothing')
  one.removals[1]!.told = 'CLUSTER_SCHEDULED'
  t.equal(mayRepeatOldWord(one, instance), false, 'it had not begun')
})

t.test('a removal replaces the one before of its cluster, and keeps its word while there is no other', async t => {
  const { edit } = openEdit(job().job, 'system', new Date('2026-02-01T12:00:00.000Z'))
  rememberRemoval(edit, TUM, null)
  const now = '2026-02-01T12:00:00.000Z'
  t.same(edit.job.removals, [
    { cluster_id: HPI, at: AT, told: 'DEPLOYED' },
    { cluster_id: TUM, at: now, told: 'FAILED' }
  ])
  rememberRemoval(edit, TUM, 'DEAD')
  rememberRemoval(edit, ETH, null)
  t.same(edit.job.removals.slice(1), [
    { cluster_id: TUM, at: now, told: 'DEAD' },
    { cluster_id: ETH, at: now, told: null }
  ])
})

t.test('a word is about what is being removed, else about what was removed', async t => {
  const { job: one } = job()
  const leaving = {
    command_id: 'x',
    cluster_id: HPI,
    instances: [],
    error: null,
    since: new Date().toISOString(),
    released: false,
    original: true,
    told: 'CREATED' as const
  }
  one.retiring = [
    leaving,
    { ...leaving, cluster_id: TUM, told: null },
    { ...leaving, cluster_id: ETH, original: false }
  ]
  const { edit, events } = openEdit(one, 'system', new Date())
  const words = () => [
    edit.job.retiring.map(({ told }) => told),
    edit.job.removals.map(({ told }) => told),
    events.length
  ]
  rememberWord(edit, HPI, 'CREATED')
  rememberWord(edit, HPI, 'CLUSTER_SCHEDULED')
  rememberWord(edit, ETH, 'FAILED')
  t.same(
    words(),
    [['CREATED', null, 'CREATED'], ['FAILED', 'DEPLOYED'], 0],
    'nothing new, nothing begun, nothing of an original one'
  )
  rememberWord(edit, HPI, 'FAILED')
  t.same(words(), [['FAILED', null, 'CREATED'], ['FAILED', 'DEPLOYED'], 1])
  edit.job.retiring = []
  rememberWord(edit, HPI, 'DEPLOYED')
  rememberWord(edit, ETH, 'DEPLOYED')
  t.same(words(), [[], ['FAILED', 'DEPLOYED'], 1])
  rememberWord(edit, TUM, 'DEPLOYED')
  t.same(words(), [[], ['DEPLOYED', 'DEPLOYED'], 2])
})
