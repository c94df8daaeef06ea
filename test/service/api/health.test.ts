import t from 'tap'
import Fastify from 'fastify'
import { chmodSync } from 'node:fs'
import app, { serverOptions } from '../../../app.js'
import { startDatabase } from '../../support/database.js'
import { startMongoProxy } from '../../support/mongo-wire/proxy.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

interface Check { name: string, ok: boolean, detail: string }

t.test('a server that can do its work is ready, check by check', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/healthz')
  t.same([answer.status, await answer.text(), answer.headers.get('content-type')], [200, 'ok', 'text/plain; charset=utf-8'])
  const { status, checks } = await eventually(() => server.json('/readyz'), seen => seen.checks.some(({ detail }: Check) => /^leads: /.test(detail)))
  t.equal(status, 'ready')
  t.match(checks, [
    { name: 'store', ok: true, detail: 'the database answers' },
    { name: 'documents', ok: true, detail: 'every stored document that was read is understood' },
    { name: 'loops', ok: true, detail: /^\d+ loops run$/ },
    { name: 'leadership', ok: true, detail: 'leads: reconciler, http-push' },
    { name: 'data_folder', ok: true, detail: / is writable, \d+ MB free$/ }
  ])
})

t.test('without its database a server lives and is not ready, and is again when that is back', async t => {
  const database = await startMongoProxy(t, await startDatabase(t))
  const server = await startServer(t, { MONGO_URI: database.uri })
  await eventually(() => server.json('/readyz'), ({ status }) => status === 'ready', 20_000)
  await database.freeze()
  const answer = await server.fetch('/readyz')
  t.equal(answer.status, 503)
  const { status, checks } = await answer.json() as { status: string, checks: Check[] }
  t.equal(status, 'not_ready')
  t.match(checks.find(({ name }) => name === 'store'), { ok: false })
  t.notOk(checks.some(({ name }) => name === 'data_folder'), 'the data is elsewhere')
  t.equal((await server.fetch('/healthz')).status, 200, 'a restart would not help')
  database.heal()
  await eventually(() => server.json('/readyz'), seen => seen.status === 'ready', 20_000)
})

t.test('a loop that hangs is no life', async t => {
  const server = Fastify(serverOptions)
  let letGo = () => {}
  await server.register(async scope => {
    await app(scope, { config: { DATA_DIR: t.testdir(), LOOP_STUCK_S: 0.05 } })
    const loop = scope.loops.start({ name: 'a hanging one', everyMs: 1000, run: () => new Promise(resolve => { letGo = resolve }) })
    scope.addHook('onClose', async () => {
      letGo()
      await loop.stop()
    })
  })
  t.teardown(() => server.close())
  const answer = await eventually(async () => await server.inject('/healthz'), ({ statusCode }) => statusCode === 503)
  t.match(answer.body, /^a hanging one has been in one turn for \d+ s$/)
  const { status, checks } = (await server.inject('/readyz')).json()
  t.equal(status, 'not_ready')
  t.match(checks.find(({ name }: Check) => name === 'loops'), { ok: false, detail: /^a hanging one/ })
})

t.test('a data folder that cannot be written to is reported', { skip: process.getuid?.() === 0 && 'root may write anywhere' }, async t => {
  const DATA_DIR = t.testdir()
  const server = await startServer(t, { DATA_DIR })
  chmodSync(DATA_DIR, 0o500)
  const { checks } = await server.json('/readyz')
  chmodSync(DATA_DIR, 0o700)
  t.match(checks.find(({ name }: Check) => name === 'data_folder'), { ok: false, detail: /EACCES|permission/ })
})
