import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startDatabase } from '../support/database.js'
import { startMongoProxy } from '../support/mongo-wire/proxy.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster } from '../support/raw-cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { logged, runServerProcess, startServerProcess } from '../support/server-process.js'

/** The way to the database ends and comes back under a server. */

const heartbeat = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ cpu_cores: 4, cumulative_memory_in_mb: 8000, jobs: [] })
}

/** Asks, and measures how long the answer takes. */
async function timed (
  url: string,
  init?: RequestInit
): Promise<{ status: number; ms: number; retryAfter: string | null; text: string }> {
  const began = performance.now()
  const answer = await fetch(url, init)
  return {
    status: answer.status,
    retryAfter: answer.headers.get('retry-after'),
    text: await answer.text(),
    ms: performance.now() - began
  }
}

/** Asks for everything that needs the database, again and again, while it is away; and for something that does not. */
async function refusesInTime (t: Test, url: string, clusterId: string): Promise<void> {
  const paths = [
    '/api/jobs',
    '/api/clusters',
    '/api/job/status/demo.default.s0.test',
    '/api/v1/jobs',
    '/api/net/subnet',
    '/status'
  ]
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
    t.ok(
      slowest < patience(2000),
      `the slowest answer took ${Math.round(slowest)} ms, one without the database ${Math.round(idle.ms)} ms`
    )
  }
}

t.test(
  'while the database is away requests get 503 within 2 s; it comes back, and all goes on with what was acknowledged',
  async t => {
    const database = await startMongoProxy(t, await startDatabase(t))
    const server = await startServerProcess(t, { MONGO_URI: database.uri, LOG_LEVEL: 'info' })
    const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
    const acknowledged: string[] = []
    const deploys = Array.from({ length: 60 }, async (_, i) => {
      const answer = await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor(`s${i}`))).catch(() => undefined)
      if (answer?.status === 200) acknowledged.push((JSON.parse(answer.text) as { job_name: string }).job_name)
      if (acknowledged.length === 20) database.refuse()
    })
    await Promise.all(deploys)
    database.refuse()
    await refusesInTime(t, server.url, cluster.id)

    database.heal()
    await eventually(
      () => timed(`${server.url}/api/information/${cluster.id}`, heartbeat),
      ({ status }) => status === 200
    )
    t.equal((await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor('after')))).status, 200)
    const jobs = (await (await fetch(`${server.url}/api/jobs`)).json()) as Array<{
      job_name: string
      service_ip_list: Array<{ Address: string }>
      instance_list: Array<{ instance_ip: string }>
    }>
    const names = new Set(jobs.map(({ job_name: name }) => name))
    t.ok(acknowledged.length >= 20)
    t.strictSame(
      acknowledged.filter(name => !names.has(name)),
      [],
      `none of ${acknowledged.length} acknowledged deploys is lost`
    )
    const addresses = jobs.flatMap(job => [
      ...job.service_ip_list.map(({ Address }) => Address),
      ...job.instance_list.map(instance => instance.instance_ip)
    ])
    t.equal(new Set(addresses).size, addresses.length, 'no address twice')
    // On a busy machine one that comes back may fall silent once more.
    const outages = () =>
      logged(server).flatMap(({ msg }) => /^the database (does not answer|answers again)$/.exec(msg)?.[1] ?? [])
    await eventually(
      async () => outages(),
      said =>
        said.length > 0 &&
        said.every((what, n) => what === (n % 2 === 0 ? 'does not answer' : 'answers again')) &&
        said.length % 2 === 0
    )
    t.equal(await server.end('SIGTERM'), 0)
  }
)

t.test(
  'a deploy whose insert fails is answered with 503 in time, and not there; so is one that no majority acknowledges',
  async t => {
    const database = await startMongoProxy(t, await startDatabase(t))
    const server = await startServerProcess(t, { MONGO_URI: database.uri })
    for (const how of [
      'cut before',
      'hold',
      { error: 14031 },
      { error: 10107 },
      { error: 13 },
      { error: 11600 },
      { error: 8000 },
      { error: 987654 },
      { writeConcernError: 64 }
    ] as const) {
      const { hits } = database.fail({ command: 'insert', collection: 'jobs', how })
      const name = `lost${JSON.stringify(how).replace(/\W/g, '')}`
      const answer = await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor(name)))
      t.match(answer, { status: 503, retryAfter: '2', text: /store_unavailable/ }, name)
      t.ok(answer.ms < patience(2000), `${name}: ${Math.round(answer.ms)} ms`)
      t.equal(hits(), 1, name)
      database.heal()
      // What was held, or done by one server, may be there by now: then a repeated deploy finds it.
      const again = await eventually(
        () => timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor(name))),
        ({ status }) => status !== 503
      )
      t.equal(again.status, 200, name)
      const { items } = (await (
        await fetch(`${server.url}/api/v1/jobs?job_name=demo.default.${name}.test`)
      ).json()) as { items: unknown[] }
      t.equal(items.length, 1, name)
    }
  }
)

t.test('a database that hangs is like one that is dead', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startServerProcess(t, { MONGO_URI: database.uri, LOG_LEVEL: 'info' })
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  await database.freeze()
  await refusesInTime(t, server.url, cluster.id)
  database.heal()
  await eventually(
    () => timed(`${server.url}/api/information/${cluster.id}`, heartbeat),
    ({ status }) => status === 200
  )
  t.equal((await timed(`${server.url}/api/deploy`, asYaml(yamlDescriptor('after')))).status, 200)
})

t.test('a server that is started before its database listens once that answers', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  database.refuse()
  const { hostname, port } = new URL(database.uri)
  const where: Record<string, string> = process.env.MONGO_URI
    ? { MONGO_URI: database.uri }
    : { CLOUD_MONGO_URL: hostname, CLOUD_MONGO_PORT: port }
  const starting = startServerProcess(t, { ...where, LOG_LEVEL: 'info' })
  await sleep(4000)
  database.heal()
  const server = await starting
  t.equal((await timed(`${server.url}/api/jobs`)).text, '[]')
  t.equal(server.log.filter(line => line.includes('does not answer yet, the start waits up to 60 s for it')).length, 1)
})

t.test(
  'without a database the start ends after MONGO_WAIT_S with one clear line, and without the password',
  async t => {
    const { code, stderr } = await runServerProcess({
      MONGO_URI: 'mongodb://me:sesame@127.0.0.1:1',
      MONGO_WAIT_S: '1'
    })
    t.equal(code, 1)
    t.match(stderr, /^system-manager: The database cannot be used: [^\n]+\n$/)
    t.notMatch(stderr, /sesame/)
  }
)

t.test('a URI that cannot be understood ends the start with one clear line, and without the password', async t => {
  const { code, stderr } = await runServerProcess({ MONGO_URI: 'mongodb://me:sesame@127.0.0.1/?tls=perhaps' })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: MONGO_URI cannot be used: [^\n]+\n$/)
  t.notMatch(stderr, /sesame/)
})
