import { createClient } from '../../../stores/mongodb/client.js'
import { openMongoStore } from '../../../stores/mongodb/open.js'
import { keptLog, loopsWith } from './mongo-store.js'
import { aCommand, aJob, saved } from './samples.js'

/** A process that commits commands for one cluster until it is killed, and prints the ids of each job's once they are acknowledged. */
const [uri, clusterId] = process.argv.slice(2) as [string, string]
const log = keptLog()
const store = await openMongoStore({ client: createClient(uri), waitMs: 5000, startLoop: loopsWith(log), log })

async function writeForEver (): Promise<never> {
  for (;;) {
    const job = aJob()
    const commands = [aCommand(job, clusterId), aCommand(job, clusterId, 'delete')].map((command, index) => ({ ...command, command_id: `${job.id}-${index}` }))
    await saved(store, { ...job, job_name: `demo.default.${job.id}.test` }, { commands })
    process.stdout.write(`${job.id}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, writeForEver))
