import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from './free-port.js'
import { isAlive, run, tinyProject } from './tiny-project.js'

/** A server that says when it is up, and what of it is asked. */
const SERVER = `
  console.log("server", process.env.LOG_LEVEL, process.argv.slice(2).join("|"))
  process.on("SIGTERM", () => { console.log("server closes"); setTimeout(() => process.exit(0), 200) })
  setInterval(() => {}, 1000)`
const DEMO = `
  console.log("demo", process.pid)
  process.on("SIGTERM", () => { console.log("demo closes"); process.exit(0) })
  setInterval(() => {}, 1000)`

function demoPid (stdout: string): number {
  return Number(/demo (\d+)/.exec(stdout)?.[1])
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends server and demo, and waits for both`, async t => {
    const project = tinyProject(t.testdir(), { 'server.ts': SERVER, 'simulator/demo.ts': DEMO })
    let sent = false
    const { code, stdout } = await run(join(project, 'start-up.sh'), ['--demo', '--more'], {
      env: { MY_PORT: await freePort(), LOG_LEVEL: '' },
      onOutput: (text, script) => {
        if (sent || !/^server/m.test(text) || !/^demo/m.test(text)) return
        sent = true
        // The handlers are there a moment after the line.
        setTimeout(() => script.kill(signal), 100)
      }
    })
    t.equal(code, 0)
    t.match(stdout, /^server warn --more$/m, 'its log is at warn, its arguments are handed on')
    t.match(stdout, /server closes/)
    t.match(stdout, /demo closes/)
    t.notOk(isAlive(demoPid(stdout)))
  })
}

t.test('when the server dies, the demo ends with its exit code', async t => {
  const project = tinyProject(t.testdir(), { 'server.ts': 'setTimeout(() => process.exit(7), 500)', 'simulator/demo.ts': DEMO })
  const { code, stdout, stderr } = await run(join(project, 'start-up.sh'), ['--demo'], { env: { MY_PORT: await freePort() } })
  t.equal(code, 7)
  t.match(stderr, /the server ended with code 7/)
  t.ok(demoPid(stdout) > 0)
  t.notOk(isAlive(demoPid(stdout)))
})

t.test('the demo does not go to a server that is there already', async t => {
  const project = tinyProject(t.testdir())
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const { code, stdout, stderr } = await run(join(project, 'start-up.sh'), ['--demo'], { env: { MY_PORT: String(port) } })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, `port ${port} is taken`)
})
