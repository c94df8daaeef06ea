import { join } from 'node:path'
import t from 'tap'
import { connectCluster } from '../support/raw-cluster.js'
import { logged, runServerProcess, startServerProcess } from '../support/server-process.js'
import { serverWith } from '../support/server-with.js'
import { within } from '../support/waiting.js'

for (const [when, plugin] of [
  ['while it starts', "export default fp(async () => { (await import('node:fs')).readFileSync('/nowhere') }, { name: 'one-more' })"],
  ['just before it listens', "export default fp(async app => { app.addHook('onReady', async () => { null.code }) }, { name: 'one-more' })"]
] as const) {
  t.test(`a fault of the server ${when} shows its stack: no operator can mend it`, async t => {
    const { code, stderr } = await runServerProcess({ DATA_DIR: join(t.testdirName, 'data') }, [], serverWith(t, plugin))
    t.equal(code, 1)
    t.match(stderr, /^system-manager: (TypeError|Error): /)
    t.match(stderr, /^ {4}at .*one-more/m)
    t.notMatch(stderr, 'cannot be listened on')
  })
}

t.test('a loop that dies ends the process, in order and not with 0', async t => {
  const program = serverWith(t, `
    export default fp(async app => {
      const doom = new Promise((resolve, reject) => app.get('/doom', async () => reject(new Error('the lease is beyond repair'))))
      app.loops.start({ name: 'doomed', everyMs: 1000, lease: { held: () => doom }, run: async () => {} })
    }, { name: 'one-more', dependencies: ['loops'] })`)
  const DATA_DIR = join(t.testdirName, 'data')
  const server = await startServerProcess(t, { DATA_DIR, LOG_LEVEL: 'info' }, program)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  t.equal((await fetch(`${server.url}/doom`)).status, 200)
  const [code] = await within(server.ended, 'the end of the process')
  t.equal(code, 1)
  t.equal(await cluster.closed, 1001, 'its channels are closed as at any end')
  const fatal = logged(server).filter(({ level }) => level === 60)
  t.match(fatal, [{ loop: 'doomed', err: { message: 'the lease is beyond repair' }, msg: /a loop died/ }, { msg: /uncaught/ }])
})
