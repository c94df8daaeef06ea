import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEmulator } from '../support/mongo-wire/emulator.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster } from '../support/raw-cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { logged, runServerProcess, startServerProcess } from '../support/server-process.js'

/** The database goes away and comes back under a server, on the emulator with its data in a file. */

const heartbeat = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ cpu_cores: 4, cumulative_memory_in_mb: 8000, jobs: [] }) }

/** Asks, and measures how long the answer takes. */
async function timed (url: string, init?: RequestInit): Promise<{ status: number, ms: number, retryAfter: string | null, text: string }> {
  const began = performance.now()
  const answer = await fetch(url, init)
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), text: await answer.text(), ms: performance.now() - began }
}

/** Asks for everything that needs the database, again and again, while it is away; and for something that does not. */
async function refusesInTime (t: Test, url: string, clusterId: string): Promise<void> {
  const paths = ['/api/jobs', '/api/clusters', '/api/job/status/demo.default.s0.test', '/api/v1/jobs', '/api/net/subnet', '/status']
  for (let round = 0; round < 3; round++) {
    const [idle, ...answers] = await Promise.all([
      timed(url),
      ...paths.map(path => timed(url + path)),
      timed(`${url}/api/deploy`, asYaml(yamlDescriptor(`lost${round}`))),
      ...Array.from({ length: 100 }, () => timed(`${url}/api/information/${clusterId}`, heartbeat))
    ])
    t.equal(idle.status, 200)
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([503]))
    t.ok(answers.every(({ retryAfter }) => retryAfter === '2'))
    t.match(answers[0]!.text, /store_unavailable/)
    const slowest = Math.max(...answers.map(({ ms }) => ms))
    t.ok(slowest < patience(2000), `the slowest answer took ${Math.round(slowest)} ms, one without the database ${Math.round(idle.ms)} ms`)
  }
}

t.test('while the database is dead requests get 503 within 2 s; it comes back, and all goes on with what was acknowledged', async t => {
  const file = join(t.testdir(), 'wire.h2')
  const database = await startEmulator(t, { file })
  const server = await startServerProcess(t, { MONGO_URI: database.uri, LOG_LEVEL: 'info' })
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  const acknowledged: string[] = []
  const deploys = Array.from({ length: 60 }, async (_, i) => {
    const answer = await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor(`s${i}`))).catch(() => undefined)
    if (answer?.status === 200) acknowledged.push((JSON.parse(answer.text) as { job_name: string }).job_name)
    if (acknowledged.length === 20) database.signal('SIGKILL')
  })
  await Promise.all(deploys)
  await database.signal('SIGKILL')
  await refusesInTime(t, server.url, cluster.id)

  await startEmulator(t, { file, port: database.port })
  await eventually(() => timed(`${server.url}/api/information/${cluster.id}`, heartbeat), ({ status }) => status === 200)
  t.equal((await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor('after')))).status, 200)
  const jobs = await (await fetch(`${server.url}/api/jobs`)).json() as Array<{ job_name: string, service_ip_list: Array<{ Address: string }>, instance_list: Array<{ instance_ip: string }> }>
  const names = new Set(jobs.map(({ job_name: name }) => name))
  t.ok(acknowledged.length >= 20)
  t.strictSame(acknowledged.filter(name => !names.has(name)), [], `none of ${acknowledged.length} acknowledged deploys is lost`)
  const addresses = jobs.flatMap(job => [...job.service_ip_list.map(({ Address }) => Address), ...job.instance_list.map(instance => instance.instance_ip)])
  t.equal(new Set(addresses).size, addresses.length, 'no address twice')
  // On a busy machine one that comes back may fall silent once more.
  const outages = () => logged(server).flatMap(({ msg }) => /^the database (does not answer|answers again)$/.exec(msg)?.[1] ?? [])
  await eventually(async () => outages(), said => said.length > 0 && said.every((what, n) => what === (n % 2 === 0 ? 'does not answer' : 'answers again')) && said.length % 2 === 0)
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('a database that hangs is like one that is dead', async t => {
  const database = await startEmulator(t)
  const server = await startServerProcess(t, { MONGO_URI: database.uri, LOG_LEVEL: 'info' })
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  await database.signal('SIGSTOP')
  await refusesInTime(t, server.url, cluster.id)
  await database.signal('SIGCONT')
  await eventually(() => timed(`${server.url}/api/information/${cluster.id}`, heartbeat), ({ status }) => status === 200)
  t.equal((await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor('after')))).status, 200)
})

t.test('a server that is started before its database listens once that answers', async t => {
  // Something that is no database has the port until the server has looked there.
  const stub = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(stub, 'listening')
  const { port } = stub.address() as AddressInfo
  const starting = startServerProcess(t, { CLOUD_MONGO_URL: '127.0.0.1', CLOUD_MONGO_PORT: String(port), LOG_LEVEL: 'info' })
  await once(stub, 'connection')
  await sleep(1500)
  stub.close()
  await startEmulator(t, { port })
  const server = await starting
  t.equal((await timed(`${server.url}/api/jobs`)).text, '[]')
  t.equal(server.log.filter(line => line.includes('does not answer yet, the start waits up to 60 s for it')).length, 1)
})

t.test('without a database the start ends after MONGO_WAIT_S with one clear line, and without the password', async t => {
  const { port, signal } = await startEmulator(t)
  await signal('SIGKILL')
  const { code, stderr } = await runServerProcess({ MONGO_URI: `mongodb://me:sesame@127.0.0.1:${port}`, MONGO_WAIT_S: '1' })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: The database cannot be used: [^\n]+\n$/)
  t.notMatch(stderr, /sesame/)
})

t.test('a URI that cannot be understood ends the start with one clear line, and without the password', async t => {
  const { code, stderr } = await runServerProcess({ MONGO_URI: 'mongodb://me:sesame@127.0.0.1/?tls=perhaps' })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: MONGO_URI cannot be used: [^\n]+\n$/)
  t.notMatch(stderr, /sesame/)
})
