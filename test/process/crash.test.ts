import t from 'tap'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { startServerProcess } from '../support/server-process.js'

interface JobDocument {
  job_name: string
  service_ip_list: Array<{ Address: string }>
  instance_list: Array<{ instance_ip: string }>
}

for (const afterAnswers of [1, 40, 120]) {
  t.test(`kill -9 after ${afterAnswers} of 200 concurrent deploys were acknowledged loses none of those, and no address is given twice`, async t => {
    const DATA_DIR = t.testdir()
    const first = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
    const acknowledged: string[] = []
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      try {
        const answer = await fetch(`${first.url}/api/deploy`, asYaml(yamlDescriptor(`s${i}`, 'replicas: 2\n')))
        if (answer.status !== 200) return
        acknowledged.push((await answer.json() as { job_name: string }).job_name)
        if (acknowledged.length === afterAnswers) first.child.kill('SIGKILL')
      } catch {
        // The server is gone: nothing was acknowledged to this user.
      }
    }))
    t.ok(acknowledged.length >= afterAnswers, `${acknowledged.length} were acknowledged`)

    const second = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' })
    // More deploys after the crash must not be given addresses that are leased already.
    await Promise.all(Array.from({ length: 50 }, (_, i) => fetch(`${second.url}/api/deploy`, asYaml(yamlDescriptor(`after${i}`, 'replicas: 2\n')))))
    const jobs = await (await fetch(`${second.url}/api/jobs`)).json() as JobDocument[]
    const names = new Set(jobs.map(({ job_name }) => job_name))
    t.same(acknowledged.filter(name => !names.has(name)), [], 'none is lost')
    const addresses = jobs.flatMap(job => [...job.service_ip_list.map(({ Address }) => Address), ...job.instance_list.map(({ instance_ip }) => instance_ip)])
    t.equal(addresses.length, jobs.length * 3)
    t.equal(new Set(addresses).size, addresses.length, 'no address twice')
    t.equal(await second.end('SIGTERM'), 0)
  })
}
