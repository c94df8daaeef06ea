import { ObjectId } from 'bson'
import type { Test } from 'tap'
import { jobWithPlainId } from '../../../schemas/job-document.js'
import type { Store } from '../../../stores/store.js'
import type { Open } from './opened.js'
import { aCommand, aJob, anInstance, commit, registered, saved } from './samples.js'

const UNKNOWN = new ObjectId().toHexString()

/** Promises of OutboxStore, and of the commands that a commit puts into it. */
export function outboxContract (t: Test, open: Open): void {
  t.test('commands are numbered from 1 per cluster, in the order of the commits', async t => {
    const { store, reopen } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    t.strictSame(await store.outbox.position(here.id), { acked: 0, last: 0 })
    const job = aJob()
    const drafts = [aCommand(job, here.id), aCommand(job, there.id), aCommand(job, here.id, 'delete')]
    const stored = await saved(store, job, { commands: drafts })
    await saved(store, stored, { commands: [aCommand(job, here.id, 'replicate', { replicas: 2 })] })
    const again = await reopen()
    t.match(await again.outbox.pending(here.id, { after: 0, limit: 10 }), [
      { seq: 1, kind: 'deploy', command_id: drafts[0]!.command_id, job_id: job.id },
      { seq: 2, kind: 'delete', command_id: drafts[2]!.command_id },
      { seq: 3, kind: 'replicate', replicas: 2 }
    ])
    t.match(await again.outbox.pending(there.id, { after: 0, limit: 10 }), [{ seq: 1, command_id: drafts[1]!.command_id }])
    t.strictSame(await again.outbox.position(here.id), { acked: 0, last: 3 })
    t.strictSame(await again.outbox.position(UNKNOWN), { acked: 0, last: 0 })
    t.equal(await again.outbox.backlog(), 4, 'of all clusters')
    await again.outbox.ack(here.id, 2)
    t.equal(await again.outbox.backlog(), 2)
  })

  t.test('the clusters that have yet to take a command about a job', async t => {
    const { store, reopen } = await open(t)
    const clusters = await Promise.all([registered(store), registered(store), registered(store)])
    const [one, two, three] = clusters.map(({ id }) => id) as [string, string, string]
    const [job, other] = [aJob(), aJob()]
    await saved(store, job, { commands: [aCommand(job, one), aCommand(job, two), aCommand(job, two, 'delete')] })
    await saved(store, other, { commands: [aCommand(other, three)] })
    t.strictSame((await store.outbox.untaken(job.id)).sort(), [one, two].sort())
    await store.outbox.ack(one, 1)
    await store.outbox.ack(two, 1)
    const again = await reopen()
    t.strictSame(await again.outbox.untaken(job.id), [two])
    await again.outbox.drop(two, 2)
    t.strictSame(await again.outbox.untaken(job.id), [])
    t.strictSame(await again.outbox.untaken(other.id), [three])
    t.strictSame(await again.outbox.untaken(UNKNOWN), [])
  })

  t.test('deploy and replicate carry the job as it was stored, delete and move do not', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const job = aJob({ instances: 2 })
    const drafts = [aCommand(job, id, 'deploy'), aCommand(job, id, 'replicate', { replicas: 2 }), aCommand(job, id, 'delete'), aCommand(job, id, 'move', { node_from: 'a', node_to: 'b' })]
    const stored = await saved(store, job, { commands: drafts })
    await saved(store, { ...stored, status: 'FAILED' })
    const document = JSON.parse(JSON.stringify(jobWithPlainId(stored)))
    t.strictSame(await store.outbox.pending(id, { after: 0, limit: 10 }), drafts.map(({ cluster_id: clusterId, ...draft }, index) => ({
      seq: index + 1, ...draft, ...(index < 2 && { job: document })
    })))
    t.match(document, { _id: job.id, job_name: job.job_name, image: 'nginx', instance_list: [{ instance_ip: /^172\.30\./ }, {}] })
  })

  t.test('a cluster gets the descriptor that its instances are to run, in the middle of an update too', async t => {
    const { store } = await open(t)
    const clusters = await Promise.all([registered(store), registered(store), registered(store)])
    const [behind, halfway, empty] = clusters.map(({ id }) => id) as [string, string, string]
    const job = aJob({ generation: 2 })
    const before = { ...job.descriptor, image: 'nginx:1' }
    job.revisions = [{ generation: 1, descriptor: before, replaced_at: job.created_at, cause: 'user' }]
    job.instance_list = [
      anInstance(0, { cluster_id: behind, generation: 1 }),
      anInstance(1, { cluster_id: halfway, generation: 1 }),
      anInstance(2, { cluster_id: halfway, generation: 2 })
    ]
    const drafts = [behind, halfway, empty].flatMap(id => [
      aCommand(job, id),
      aCommand(job, id, 'replicate', { replicas: 1 })
    ])
    await saved(store, job, { commands: drafts })
    const images = await Promise.all([behind, halfway, empty].map(async id =>
      (await store.outbox.pending(id, { after: 0, limit: 9 })).map(command => command.job?.image)))
    t.strictSame(images, [['nginx:1', 'nginx:1'], ['nginx', 'nginx'], ['nginx', 'nginx']])
  })

  t.test('a page of commands begins after a seq', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const job = aJob()
    await saved(store, job, { commands: Array.from({ length: 9 }, () => aCommand(job, id, 'delete')) })
    t.strictSame(await seqs(store, id, 0, 4), [1, 2, 3, 4])
    t.strictSame(await seqs(store, id, 4, 4), [5, 6, 7, 8])
    t.strictSame(await seqs(store, id, 9, 4), [])
  })

  t.test('an ack settles everything up to it, once, and never goes back', async t => {
    const { store, reopen } = await open(t)
    const { id } = await registered(store)
    const job = aJob()
    const stored = await saved(store, job, { commands: Array.from({ length: 5 }, () => aCommand(job, id, 'delete')) })
    await store.outbox.ack(id, 3)
    await store.outbox.ack(id, 3)
    await store.outbox.ack(id, 1)
    t.strictSame(await seqs(store, id), [4, 5])
    t.strictSame(await store.outbox.position(id), { acked: 3, last: 5 })
    await store.outbox.ack(id, 5)
    const again = await reopen()
    t.strictSame(await again.outbox.position(id), { acked: 5, last: 5 })
    await saved(again, stored, { commands: [aCommand(job, id, 'delete')] })
    t.strictSame(await seqs(again, id), [6], 'numbers go on where they were, though nothing was left')
  })

  t.test('an ack of more than was ever sent settles nothing that is yet to come', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const job = aJob()
    const stored = await saved(store, job, { commands: [aCommand(job, id, 'delete')] })
    await store.outbox.ack(id, 1000)
    t.strictSame(await store.outbox.position(id), { acked: 1, last: 1 })
    await saved(store, stored, { commands: [aCommand(job, id, 'delete')] })
    t.strictSame(await seqs(store, id), [2])
    await t.resolves(store.outbox.ack(UNKNOWN, 1), 'nor is an unknown cluster an error')
  })

  t.test('a refused command is settled alone', async t => {
    const { store } = await open(t)
    const [here, there] = [await registered(store), await registered(store)]
    const job = aJob()
    await saved(store, job, { commands: [1, 2, 3].flatMap(() => [aCommand(job, here.id, 'delete'), aCommand(job, there.id, 'delete')]) })
    await store.outbox.drop(here.id, 2)
    await store.outbox.drop(here.id, 2)
    t.strictSame(await seqs(store, here.id), [1, 3])
    t.strictSame(await seqs(store, there.id), [1, 2, 3])
    t.strictSame(await store.outbox.position(here.id), { acked: 0, last: 3 })
  })

  t.test('a change that is not saved sends no command and takes no number', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const holder = await saved(store, aJob())
    const refused = [aJob({ revision: 5 }), aJob({ job_name: holder.job_name }), aJob({ service_ip_list: holder.service_ip_list })]
    for (const job of refused) t.not((await commit(store, job, { commands: [aCommand(job, id)] })).outcome, 'saved')
    t.strictSame(await store.outbox.position(id), { acked: 0, last: 0 })
    t.strictSame(await seqs(store, id), [])
  })

  t.test('a command for a cluster that is gone is left out, and the change is saved', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    const job = aJob()
    await saved(store, job, { commands: [aCommand(job, UNKNOWN), aCommand(job, id)] })
    t.strictSame(await seqs(store, id), [1])
    t.strictSame(await seqs(store, UNKNOWN), [])
  })

  t.test('commits at the same time leave no gap in the numbers', async t => {
    const { store } = await open(t)
    const { id } = await registered(store)
    await Promise.all(Array.from({ length: 50 }, () => {
      const job = aJob()
      return saved(store, job, { commands: [aCommand(job, id, 'delete')] })
    }))
    t.strictSame(await seqs(store, id), Array.from({ length: 50 }, (_, index) => index + 1))
  })

  t.test('clusters with unsettled commands come in pages', async t => {
    const { store } = await open(t)
    const clusters = [await registered(store), await registered(store), await registered(store)]
    const all = clusters.map(({ id }) => id).sort()
    t.strictSame(await store.outbox.clusters({ limit: 9 }), [])
    const job = aJob()
    await saved(store, job, { commands: all.flatMap(id => [aCommand(job, id), aCommand(job, id, 'delete')]) })
    t.strictSame(await store.outbox.clusters({ limit: 9 }), all)
    t.strictSame(await store.outbox.clusters({ after: all[0]!, limit: 1 }), [all[1]])
    await store.outbox.ack(all[0]!, 2)
    await store.outbox.drop(all[1]!, 1)
    t.strictSame(await store.outbox.clusters({ limit: 9 }), [all[1], all[2]])
  })
}

async function seqs (store: Store, clusterId: string, after = 0, limit = 1000): Promise<number[]> {
  return (await store.outbox.pending(clusterId, { after, limit })).map(({ seq }) => seq)
}
