import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import app, { serverOptions } from '../../../app.js'
import { aCommand, aJob, on, registered, saved } from '../stores/samples.js'
import { USER } from '../../support/user.js'

/** A System Manager with a job that it cannot understand beside one that it can, both on one cluster. */

async function start (t: Test, folder: string) {
  const server = Fastify(serverOptions)
  await server.register(fp(app), { config: { DATA_DIR: folder, PLACEMENT_RETRY_S: 3600 } })
  await server.ready()
  t.teardown(() => server.close())
  return server
}

async function withBroken (t: Test) {
  const folder = t.testdir()
  const before = await start(t, folder)
  // On a channel, so that nothing is pushed.
  const { id: clusterId } = await before.store.clusters.register({ ...await registered(before.store, 'hpi'), delivery: 'channel' }, Date.now())
  const [broken, good] = await Promise.all(['broken', 'good'].map(async name => {
    const job = on(aJob({ job_name: `demo.default.${name}.test` }), clusterId)
    const [instance] = job.instance_list
    const awaiting = { ...job, instance_list: [{ ...instance!, awaits: `${name}-1` }] }
    return await saved(before.store, awaiting, { commands: [aCommand(job, clusterId, 'deploy', { command_id: `${name}-1` })] })
  }))
  await before.close()
  const db = new DatabaseSync(join(folder, 'system-manager.db'))
  db.prepare("UPDATE jobs SET doc = '{', contract = '{' WHERE id = ?").run(broken!.id)
  db.close()
  return { server: await start(t, folder), clusterId, broken: broken!, good: good! }
}

t.test('lists over HTTP go on without it, and a read of it is an error of the catalogue', async t => {
  const { server, broken, good } = await withBroken(t)
  const get = async (url: string) => (await server.inject({ url })).json()
  t.match(await get('/api/jobs'), [{ job_name: good.job_name }])
  t.equal((await get('/api/jobs')).length, 1)
  t.strictSame((await get('/api/v1/jobs')).items.map(({ id }: { id: string }) => id), [good.id])
  for (const ref of [broken.id, broken.job_name]) {
    const answer = await server.inject({ url: `/api/v1/jobs/${ref}` })
    t.equal(answer.statusCode, 500)
    t.match(answer.json(), { code: 'job_unreadable', hint: /Restore/ })
  }
  t.match(await get(`/api/v1/jobs/${good.id}`), { id: good.id })
})

t.test('what its cluster answers about it keeps the answers about others from nothing', async t => {
  const { server: { jobLifecycle: { reports }, store }, clusterId, broken, good } = await withBroken(t)
  const commands = await store.outbox.pending(clusterId, { after: 0, limit: 9 })
  t.equal(commands.length, 2)
  await reports.take(clusterId, [{ acknowledged: commands }])
  t.equal((await store.jobs.get(good.id))!.instance_list[0]!.awaits, null)
  await reports.refused(clusterId, commands.find(({ job_id: id }) => id === broken.id)!, 'no room')
  await reports.delivery(clusterId, [broken.id, good.id], 'it is slow')
  t.match(await reports.heartbeat(clusterId, { jobs: [broken, good].map(({ id }) => ({ system_job_id: id, status: 'RUNNING' })) }), { warnings: [] })
  t.equal((await store.jobs.get(good.id))!.status, 'RUNNING')
})

t.test('its cluster does not get a resync, which would remove it', async t => {
  const { server: { jobLifecycle: { reports }, store }, clusterId } = await withBroken(t)
  t.equal(await reports.desiredOn(clusterId), undefined)
  const { id: other } = await registered(store, 'other')
  const job = await saved(store, on(aJob(), other))
  t.strictSame(await reports.desiredOn(other), [job])
})

t.test('its cluster is in use because of it', async t => {
  const { server: { jobLifecycle }, clusterId, broken, good } = await withBroken(t)
  await jobLifecycle.jobs.undeploy(good.id, USER)
  const removals = (await jobLifecycle.jobs.list({})).flatMap(job => job.retiring)
  await jobLifecycle.reports.take(clusterId, [{
    acknowledged: removals.map(({ command_id }) => ({ seq: 9, command_id, kind: 'delete', job_id: good.id }))
  }])
  t.strictSame(await jobLifecycle.jobs.list({ cluster_id: clusterId }), [])
  await t.rejects(jobLifecycle.clusters.remove(clusterId, { force: false, by: USER }), {
    code: 'cluster_in_use',
    message: `${broken.id} is placed on it`
  })
})
