import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { runServerProcess, startServerProcess } from '../support/server-process.js'

async function folderOf (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'commands-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

t.test('a running server is backed up, killed, and comes back from the backup in another folder', async t => {
  const folder = await folderOf(t)
  const first = await startServerProcess(t, { DATA_DIR: join(folder, 'a') })
  const answer = await fetch(`${first.url}/api/v1/jobs`, asYaml(yamlDescriptor('kept')))
  t.equal(answer.status, 201)
  const backup = join(folder, 'backup.db')
  const made = await runServerProcess({ DATA_DIR: join(folder, 'a') }, ['backup', backup])
  t.match([made.code, made.stdout], [0, /backup\.db has \d+ MB and is in order\n$/], made.stderr)
  t.equal((await fetch(`${first.url}/status`)).status, 200)
  await first.end('SIGKILL')

  const restored = await runServerProcess({ DATA_DIR: join(folder, 'new', 'b') }, ['restore', backup])
  t.match([restored.code, restored.stdout], [0, /is the database in .*new\/b now\n$/], restored.stderr)
  const second = await startServerProcess(t, { DATA_DIR: join(folder, 'new', 'b') })
  t.equal((await fetch(`${second.url}/api/v1/jobs/demo.default.kept.test`)).status, 200)

  const again = await startServerProcess(t, { DATA_DIR: join(folder, 'a') })
  t.equal((await fetch(`${again.url}/api/v1/jobs/demo.default.kept.test`)).status, 200, 'the one that was killed, too')
})

t.test('what is wrong with a command is told in one line', async t => {
  const folder = await folderOf(t)
  for (const [args, message] of [
    [['backup'], /Expected no command, or: backup FILE/],
    [['frobnicate'], /Expected no command, or: backup FILE/],
    [['adopt-database', 'x'], /Expected no command/],
    [['backup', 'x'], /There is no database .*: DATA_DIR says where it is/],
    [['restore', join(folder, 'missing')], /missing is no database that can be used/],
    [['adopt-database'], /There is no database/]
  ] as const) {
    const { code, stdout, stderr } = await runServerProcess({ DATA_DIR: join(folder, 'data') }, [...args])
    t.same([code, stdout], [1, ''], args.join(' '))
    t.match(stderr, /^system-manager: [^\n]*\n$/, args.join(' '))
    t.match(stderr, message)
  }
  t.notOk(existsSync(join(folder, 'data')), 'nothing was made')
})

t.test('a folder that is removed while the server runs makes it not ready, and writes fail', async t => {
  const folder = join(await folderOf(t), 'data')
  const server = await startServerProcess(t, { DATA_DIR: folder })
  t.equal((await fetch(`${server.url}/api/v1/jobs`, asYaml(yamlDescriptor('one')))).status, 201)
  await rm(folder, { recursive: true })
  const refused = await fetch(`${server.url}/api/v1/jobs`, asYaml(yamlDescriptor('two')))
  t.equal(refused.status, 503)
  t.match(await refused.json(), { code: 'store_unavailable', detail: /was removed or replaced while it was in use/ })
  const { status, checks } = (await (await fetch(`${server.url}/readyz`)).json()) as {
    status: string
    checks: Array<{ name: string; ok: boolean }>
  }
  t.equal(status, 'not_ready')
  t.same(
    checks.filter(({ ok }) => !ok).map(({ name }) => name),
    ['store', 'data_folder']
  )
  t.equal(await server.end('SIGTERM'), 0)
})
