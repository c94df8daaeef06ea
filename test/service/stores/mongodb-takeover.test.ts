import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { spawnProgram } from '../../support/program.js'
import { eventually } from '../../support/waiting.js'
import { onMongo, uri } from './on-mongo.js'
import { openedMongo, rawMongo } from './mongo-store.js'
import { registered } from './samples.js'

/** Starts a writer; gives the ids of the jobs that it printed, and its end. */
function startWriter (t: Test, clusterId: string) {
  const child = spawnProgram(import.meta.resolve('./mongo-writer.js'), [uri, clusterId])
  child.stderr.pipe(process.stderr, { end: false })
  const exited = once(child, 'exit')
  const acknowledged: string[] = []
  createInterface({ input: child.stdout }).on('line', line => acknowledged.push(line))
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)
  return { acknowledged, kill }
}

onMongo('kill -9 of a process that commits loses none of its commands: others bring them into the outbox, each once, in order', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id } = await registered(store)
  let leftBehind = 0
  for (let round = 0; round < 4; round++) {
    const [one, two] = [startWriter(t, id), startWriter(t, id)]
    await eventually(async () => Math.min(one.acknowledged.length, two.acknowledged.length), length => length > 30, 20_000)
    await one.kill()
    await two.kill()
    leftBehind += await raw.jobs.countDocuments({ 'system_manager.drafts': { $exists: true } })
  }
  const all = await raw.jobs.find({}, { projection: { _id: 1 } }).toArray()
  await eventually(() => raw.jobs.countDocuments({ 'system_manager.drafts': { $exists: true } }), left => left === 0, 15_000)

  const commands = await store.outbox.pending(id, { after: 0, limit: 100_000 })
  t.strictSame(commands.map(({ seq }) => seq), Array.from({ length: all.length * 2 }, (_, index) => index + 1), 'no gap, and none twice')
  const numbers = new Map(commands.map(({ command_id: commandId, seq }) => [commandId, seq]))
  t.ok(all.every(({ _id }) => numbers.get(`${_id.toHexString()}-0`)! < numbers.get(`${_id.toHexString()}-1`)!), 'each deploy before its delete')
  t.comment(`${all.length} jobs, ${leftBehind} with commands left behind`)
})
