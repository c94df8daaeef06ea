import { once } from 'node:events'
import { existsSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { DatabaseSync } from '@photostructure/sqlite'
import t from 'tap'
import { openConnection } from '../../../stores/sqlite/connection.js'
import { openDatabase } from '../../../stores/sqlite/database.js'
import { MIGRATIONS, migrate } from '../../../stores/sqlite/migrations.js'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import { spawnProgram } from '../../support/program.js'
import { aJob, addressesOf, saved, documentsOf } from './samples.js'

/** Runs a process that writes into the file, kills it once it has acknowledged `count` jobs; gives all it acknowledged. */
async function writeAndKill (file: string, count: number): Promise<Array<{ id: string, address: string }>> {
  const child = spawnProgram(import.meta.resolve('./sqlite-writer.js'), [file])
  const complaint = text(child.stderr)
  const exit = once(child, 'exit')
  const acknowledged: Array<{ id: string, address: string }> = []
  for await (const line of createInterface({ input: child.stdout })) {
    const [id = '', address = ''] = line.split(' ')
    // The kill may have cut the last line short.
    if (/^172\.30\.\d+\.\d+$/.test(address)) acknowledged.push({ id, address })
    if (acknowledged.length === count) child.kill('SIGKILL')
  }
  const [, signal] = await exit
  if (signal !== 'SIGKILL') throw new Error(`the writer ended without being killed: ${await complaint}`)
  return acknowledged
}

t.test('what was acknowledged survives kill -9, and no address is leased twice after it', async t => {
  const file = join(t.testdir(), 'killed.db')
  const acknowledged = [...await writeAndKill(file, 300), ...await writeAndKill(file, 100)]
  t.ok(acknowledged.length >= 400)
  const store = await openSqliteStore({ file })
  t.teardown(() => store.close())
  const jobs = await store.jobs.list({})
  const byId = new Map(jobs.map(job => [job.id, job]))
  t.strictSame(acknowledged.filter(({ id }) => !byId.has(id)), [], 'nothing acknowledged is lost')
  const addresses = [...jobs, await saved(store, aJob())].flatMap(addressesOf)
  t.equal(new Set(addresses).size, addresses.length)
  const [cluster] = await store.clusters.list({})
  const commands = await store.outbox.pending(cluster!.id, { after: 0, limit: -1 })
  t.strictSame(commands.map(({ seq }) => seq), jobs.map((_, index) => index + 1), 'each job has its command, without a gap')
  t.strictSame(commands.map(command => command.job_id).sort(), jobs.map(({ id }) => id))
})

t.test('a file that a server has open is refused to a second one, until it is closed', async t => {
  const file = join(t.testdir(), 'new', 'folder', 'shared.db')
  const first = await openSqliteStore({ file })
  const job = await saved(first, aJob())
  await t.rejects(openSqliteStore({ file }), { code: 'store_unavailable', message: `The database ${file} is in use by another System Manager; each needs a DATA_DIR of its own` })
  await saved(first, { ...job, status: 'FAILED' })
  await first.close()
  const second = await openSqliteStore({ file })
  t.teardown(() => second.close())
  t.equal(await second.jobs.status(job.id), 'FAILED')
})

t.test('a statement is compiled once for its text', async t => {
  const db = openDatabase(join(t.testdir(), 'statements.db'))
  t.teardown(() => db.close())
  t.equal(db.prepare('SELECT 1'), db.prepare('SELECT 1'))
  t.not(db.prepare('SELECT 1'), db.prepare('SELECT 2'))
})

t.test('a closed database is one file', async t => {
  const folder = t.testdir()
  const store = await openSqliteStore({ file: join(folder, 'a.db') })
  await saved(store, aJob())
  await store.close()
  t.strictSame((await readdir(folder)).sort(), ['a.db', 'a.db.marker'])
})

t.test('a file that is no database, or cannot be opened, is refused by name', async t => {
  const folder = t.testdir({ 'text.db': 'these are not the pages of a database, but a letter to you; '.repeat(100) })
  await t.rejects(openSqliteStore({ file: join(folder, 'text.db') }), { code: 'store_unavailable', message: /text\.db cannot be opened: file is not a database/ })
  await t.rejects(openSqliteStore({ file: folder }), { code: 'store_unavailable', message: /cannot be opened: .*unable to open database file/ })
  await t.rejects(openSqliteStore({ file: join(folder, 'text.db', 'more', 'a.db') }), {
    code: 'store_unavailable', message: /The folder .*text\.db\/more for the database cannot be made: /
  })
})

t.test('a file that is refused is not kept open', { skip: !existsSync('/proc/self/fd') && 'no /proc here' }, async t => {
  const folder = t.testdir({ 'text.db': 'these are not the pages of a database, but a letter to you; '.repeat(100) })
  await t.rejects(openSqliteStore({ file: join(folder, 'text.db') }))
  const open = (await readdir('/proc/self/fd')).map(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  t.strictSame(open.filter(path => path.startsWith(folder)), [])
})

t.test('a new file gets the newest schema, which is logged once', async t => {
  const file = join(t.testdir(), 'new.db')
  const logged: object[] = []
  const log = { info: (details: object) => { logged.push(details) }, error () {}, warn () {} }
  await (await openConnection({ file, log })).close()
  await (await openConnection({ file, log })).close()
  t.strictSame(logged, [{ file, from: 0, to: MIGRATIONS.length }])
})

t.test('a file of an older version is brought up step by step and keeps its data', async t => {
  const file = join(t.testdir(), 'old.db')
  const db = openDatabase(file)
  t.teardown(() => db.close())
  const first = 'CREATE TABLE things (name TEXT)'
  const second = "ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 3; INSERT INTO things (name) VALUES ('added')"
  t.strictSame(migrate(db, [first]), { from: 0, to: 1 })
  db.exec("INSERT INTO things VALUES ('kept')")
  t.strictSame(migrate(db, [first, second]), { from: 1, to: 2 })
  t.strictSame(migrate(db, [first, second]), { from: 2, to: 2 })
  t.strictSame(db.prepare('SELECT name, size FROM things').all().map(row => ({ ...row as object })), [{ name: 'kept', size: 3 }, { name: 'added', size: 3 }])
})

t.test('a step that ends its transaction fails with its own error', async t => {
  const db = openDatabase(join(t.testdir(), 'ended.db'))
  t.teardown(() => db.close())
  t.throws(() => migrate(db, ['ROLLBACK; nonsense']), { message: /nonsense/ })
})

t.test('a step that fails leaves the version before it', async t => {
  const db = openDatabase(join(t.testdir(), 'failing.db'))
  t.teardown(() => db.close())
  const first = 'CREATE TABLE things (name TEXT)'
  t.throws(() => migrate(db, [first, 'CREATE TABLE more (name TEXT); CREATE TABLE things (name TEXT)']), { message: /already exists/ })
  t.strictSame(migrate(db, [first]), { from: 1, to: 1 })
  t.strictSame(db.prepare("SELECT name FROM sqlite_schema WHERE name = 'more'").all(), [], 'nothing of it stays')
})

t.test('a file of a newer version is refused, untouched', async t => {
  const file = join(t.testdir(), 'newer.db')
  await (await openSqliteStore({ file })).close()
  const newer = new DatabaseSync(file)
  newer.exec('PRAGMA user_version = 99')
  newer.close()
  await t.rejects(openSqliteStore({ file }), {
    code: 'store_unavailable', message: `The database ${file} cannot be used: its schema has version 99, written by a newer System Manager; this one knows versions up to ${MIGRATIONS.length}`
  })
  const again = new DatabaseSync(file)
  t.teardown(() => again.close())
  t.doesNotThrow(() => again.exec('PRAGMA user_version = 99; CREATE TABLE free (x)'), 'and it is not locked')
})

t.test('a contract document that is not JSON is left out of the list, and logged by its id', async t => {
  const file = join(t.testdir(), 'contract.db')
  const store = await openSqliteStore({ file })
  const [broken, whole] = [await saved(store, aJob()), await saved(store, aJob())]
  await store.close()
  const db = new DatabaseSync(file)
  db.prepare('UPDATE jobs SET contract = ? WHERE id = ?').run('{', broken.id)
  db.close()
  const errors: Array<{ details: object, message: string }> = []
  const again = await openSqliteStore({
    file,
    log: {
      info () {},
      warn () {},
      error: (details, message) => {
        errors.push({ details, message })
      }
    }
  })
  t.teardown(() => again.close())
  const documents = (await documentsOf(again)).map(text => JSON.parse(text) as { job_name: string })
  t.strictSame(documents.map(({ job_name: name }) => name), [whole.job_name])
  t.match(errors, [{ details: { job_id: broken.id, err: { message: 'its contract document is not JSON' } }, message: 'a stored job cannot be understood' }])
})

t.test('leases of the process that had the file before are free at once', async t => {
  const file = join(t.testdir(), 'leases.db')
  const before = await openSqliteStore({ file })
  t.equal(await before.leases.acquire('reconciler', 'before', 60_000), 1)
  await before.close()
  const store = await openSqliteStore({ file })
  t.teardown(() => store.close())
  t.equal(await store.leases.acquire('reconciler', 'now', 60_000), 2)
})

t.test('a check writes: a database that can only be read does not pass it', async t => {
  const file = join(t.testdir(), 'read-only.db')
  await (await openSqliteStore({ file })).close()
  const db = new DatabaseSync(file)
  db.exec("CREATE TRIGGER no_room BEFORE UPDATE ON counters BEGIN SELECT RAISE(ABORT, 'no room'); END")
  db.close()
  const store = await openSqliteStore({ file })
  t.teardown(() => store.close())
  t.strictSame(await store.jobs.list({}), [])
  await t.rejects(store.check(), { message: 'no room' })
})
