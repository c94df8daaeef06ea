import { openSqliteStore } from '../../../stores/sqlite/open.js'
import { aCommand, aJob, registered, saved } from './samples.js'

/** A process that writes until it is killed, and prints the id of each job and its addresses once it is acknowledged. */
const store = await openSqliteStore({ file: process.argv[2]! })
const cluster = await registered(store, 'hpi')

async function writeForEver (): Promise<never> {
  for (;;) {
    const job = aJob()
    const { id, service_ip_list: [service] } = await saved(store, { ...job, job_name: `demo.default.${job.id}.test` }, { commands: [aCommand(job, cluster.id)] })
    process.stdout.write(`${id} ${service!.Address}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, writeForEver))
