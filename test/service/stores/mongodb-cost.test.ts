import type { Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import { withOption } from '../../support/database.js'
import { createClient } from '../../../stores/mongodb/client.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import { onMongo, uri } from './on-mongo.js'
import { keptLog, loopsWith } from './mongo-store.js'
import { aCommand, aJob, on, registered, saved } from './samples.js'

/** What the paths that thousands of clusters take cost, in commands to the database. */

/** What maintenance asks for, once a second. */
const OF_MAINTENANCE = /"system_manager.underscored_name":null|TargetCluster|drafts.command_id/

/** A store, and what it sends while `work` runs, without its maintenance. */
async function counted (t: Test) {
  const client = createClient(withOption(uri, 'monitorCommands=true'))
  const log = keptLog()
  const store = await openMongoStore({ client, waitMs: 10_000, startLoop: loopsWith(log), log })
  t.teardown(() => store.close())
  let sent: string[] = []
  client.on('commandStarted', ({ commandName, command }) => {
    const collection = String(command.collection ?? command[commandName])
    if (collection === 'notifications' || (commandName === 'find' && OF_MAINTENANCE.test(JSON.stringify(command)))) return
    sent.push(`${commandName} ${collection}`)
  })
  return {
    store,
    async commands (work: () => Promise<unknown>): Promise<string[]> {
      sent = []
      await work()
      return sent.sort()
    }
  }
}

onMongo('a heartbeat that reports nothing new is one update and one query, whatever it reports', async t => {
  const { store, commands } = await counted(t)
  const { id } = await registered(store)
  const jobs = await Promise.all(Array.from({ length: 30 }, async () => await saved(store, on(await saved(store, aJob()), id, 'RUNNING'))))
  const reported = new Map(jobs.map(job => [job.id, 'RUNNING' as const]))
  t.strictSame(await commands(async () => {
    await store.clusters.heartbeat(id, { active_nodes: 1, warnings: [] }, Date.now())
    t.strictSame(await store.jobs.contradicted(id, reported), [])
  }), ['find jobs', 'update clusters'])
})

onMongo('100 jobs that a heartbeat changes are written in one command', async t => {
  const { store, commands } = await counted(t)
  const { id } = await registered(store)
  const jobs = await Promise.all(Array.from({ length: 100 }, async () => await saved(store, on(await saved(store, aJob()), id))))
  const changes = jobs.map(job => ({ job: on(job, id, 'RUNNING'), events: [], commands: [] }))
  t.strictSame(await commands(async () => {
    t.ok((await store.jobs.commit(changes)).every(({ outcome }) => outcome === 'saved'))
  }), ['find jobs', 'update jobs'])
})

onMongo('commits that come together share their commands, those for the outbox too', async t => {
  const { store, commands } = await counted(t)
  const { id } = await registered(store)
  const jobs = Array.from({ length: 200 }, () => aJob())
  const sent = await commands(() => Promise.all(jobs.map((job: Job) => saved(store, job, { commands: [aCommand(job, id)] }))))
  t.ok(sent.length < 40, `${sent.length} commands for 200 deploys`)
  t.strictSame((await store.outbox.pending(id, { after: 0, limit: 999 })).map(({ seq }) => seq), jobs.map((_, index) => index + 1))
})
