import { connect } from 'node:net'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { connectCluster } from '../support/raw-cluster.js'
import { runServerProcess, startServerProcess } from '../support/server-process.js'

t.test('--help lists the settings and starts nothing', async t => {
  const { code, stdout } = await runServerProcess({}, ['--help'])
  t.equal(code, 0)
  t.match(stdout, /MY_PORT .*default: 10000/)
})

t.test('a setting that cannot be used stops the start with one clear line', async t => {
  const { code, stdout, stderr } = await runServerProcess({ MY_PORT: 'http', DATA_DIR: t.testdir() })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^system-manager: MY_PORT=http cannot be used: expected a whole number of at least 0\..*\n$/)
})

t.test('an argument that is not known stops the start with one clear line', async t => {
  const { code, stdout, stderr } = await runServerProcess({ DATA_DIR: t.testdir() }, ['--port=10001'])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^system-manager: .*--port.*\n$/)
})

t.test('a data folder that cannot be made stops the start with one clear line', async t => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, '')
  const { code, stderr } = await runServerProcess({ DATA_DIR: join(file, 'data') })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: The folder .*file\/data for the database cannot be made: .*\n$/)
})

t.test('a port that is taken stops the start with one clear line', async t => {
  const first = await startServerProcess(t, { DATA_DIR: t.testdir() })
  const { code, stderr } = await runServerProcess({ DATA_DIR: join(t.testdirName, 'other'), MY_PORT: new URL(first.url).port })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: MY_HOST=127\.0\.0\.1 MY_PORT=\d+ cannot be listened on: .*EADDRINUSE.*\n$/)
})

t.test('a second server on the same data is refused with one clear line', async t => {
  const DATA_DIR = t.testdir()
  await startServerProcess(t, { DATA_DIR })
  const { code, stderr } = await runServerProcess({ DATA_DIR })
  t.equal(code, 1)
  t.match(stderr, /^system-manager: [^\n]+\n$/)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} answers the requests in flight, closes channels with 1001, and ends with 0`, async t => {
    const DATA_DIR = t.testdir()
    const server = await startServerProcess(t, { DATA_DIR })
    const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
    const deploys = Promise.all(Array.from({ length: 20 }, (_, i) => fetch(`${server.url}/api/deploy`, asYaml(yamlDescriptor(`s${i}`)))))
    // A connection that never says anything must not hold the server back.
    const idle = connect(Number(new URL(server.url).port), '127.0.0.1')
    idle.on('error', () => {})
    await once(idle, 'connect')
    const ended = server.end(signal)
    const answers = await deploys.catch((err: unknown) => err as Error)
    t.equal(await ended, 0)
    t.equal(await cluster.closed, 1001)
    if (Array.isArray(answers)) {
      t.ok(answers.every(({ status }) => status === 200 || status === 503))
      const again = await startServerProcess(t, { DATA_DIR })
      const jobs = await (await fetch(`${again.url}/api/jobs`)).json() as unknown[]
      t.equal(jobs.length, answers.filter(({ status }) => status === 200).length)
    } else {
      t.match(answers.message, /fetch failed/, 'connections that were not accepted yet are refused')
    }
  })
}

t.test('logs are lines of JSON without secrets', async t => {
  const server = await startServerProcess(t, { DATA_DIR: t.testdir(), LOG_LEVEL: 'trace' })
  await fetch(`${server.url}/api/jobs`, { headers: { authorization: 'Bearer sesame', cookie: 'open=sesame' } })
  await fetch(`${server.url}/api/deploy`, asYaml(yamlDescriptor('service1', 'environment: {PASSWORD: sesame}\n')))
  await server.end('SIGTERM')
  for (const line of server.log) t.doesNotThrow(() => JSON.parse(line))
  t.notMatch(server.log.join('\n'), /sesame/)
  t.ok(server.log.some(line => line.includes('"reqId"')))
})
