import { once } from 'node:events'
import { createConnection } from 'node:net'
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import t, { type Test } from 'tap'
import { adoptDatabase, backupDatabase, restoreDatabase } from '../../../commands/database.js'
import { backupSocketOf } from '../../../stores/sqlite/backup.js'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import type { Store } from '../../../stores/store.js'
import { spawnProgram } from '../../support/program.js'
import { aJob, saved } from './samples.js'

const NAME = 'system-manager.db'
const NO_MONGO = { MONGO_URI: '', CLOUD_MONGO_URL: '' }

async function folderOf (t: Test): Promise<{ folder: string; file: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'files-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return { folder, file: join(folder, NAME) }
}

/** A descriptor of several pages. */
const large = () => ({ ...aJob().descriptor, image: 'x'.repeat(30_000) })

/** Writes a job and closes. */
async function written (file: string): Promise<string> {
  const store = await openSqliteStore({ file })
  const { id } = await saved(store, aJob())
  await store.close()
  return id
}

/** A process that writes jobs and is killed: its database was not closed. */
async function killed (file: string): Promise<void> {
  const child = spawnProgram(import.meta.resolve('./sqlite-writer.js'), [file])
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await ended
}

const refused = (t: Test, file: string, message: RegExp) =>
  t.rejects(openSqliteStore({ file }), { code: 'store_unavailable', message }, String(message))

t.test(
  'a database that ends in any way, by a kill too, is opened again, also with a torn tail of its log',
  async t => {
    const { file } = await folderOf(t)
    for (let i = 0; i < 3; i++) await written(file)
    for (let i = 0; i < 3; i++) await killed(file)
    const log = (await readFile(`${file}-wal`)).length
    await truncate(`${file}-wal`, Math.max(0, log - 100))
    const store = await openSqliteStore({ file })
    t.ok((await store.jobs.list({})).length > 0)
    await store.close()
    await written(file)
  }
)

t.test(
  'another database, a copy, an older one, and one without its log are refused, and adopted knowingly',
  async t => {
    const { folder, file } = await folderOf(t)
    const other = await folderOf(t)
    await written(file)
    await written(other.file)
    const old = join(folder, 'old')
    await copyFile(file, old)
    await written(file)

    const cases: Array<[RegExp, () => Promise<void>]> = [
      [
        /is older than the one that was here last: what was acknowledged since would be lost/,
        () => copyFile(old, file)
      ],
      [/is not the one that was here last/, () => copyFile(other.file, file)],
      [/is a copy, since .*\.marker is missing/, () => rm(`${file}.marker`)],
      [
        /-wal is missing, which has what was acknowledged/,
        async () => {
          await killed(file)
          await rm(`${file}-wal`)
        }
      ],
      [/its marker .*\.marker cannot be understood/, () => writeFile(`${file}.marker`, 'x')]
    ]
    for (const [message, spoil] of cases) {
      await spoil()
      await refused(t, file, message)
      await refused(t, file, message)
      await adoptDatabase({ DATA_DIR: folder, ...NO_MONGO })
      await written(file)
    }
    await rm(file)
    await refused(t, file, /is missing, but .*\.marker shows that it was here\. Put it back, or remove the marker/)
    await t.rejects(adoptDatabase({ DATA_DIR: folder, ...NO_MONGO }), { message: /There is no database/ })
    await rm(`${file}.marker`)
    await written(file)
  }
)

t.test('what is refused is left as it is', async t => {
  const { file } = await folderOf(t)
  await killed(file)
  const before = [await readFile(file), await readFile(`${file}-wal`)]
  await rename(`${file}.marker`, `${file}.aside`)
  await refused(t, file, /is a copy/)
  t.same([await readFile(file), await readFile(`${file}-wal`)], before)
  await rename(`${file}.aside`, `${file}.marker`)
  await written(file)
})

t.test('a copy of all the files elsewhere is a database of its own', async t => {
  const { folder, file } = await folderOf(t)
  const other = await folderOf(t)
  await killed(file)
  await cp(folder, other.folder, { recursive: true })
  await written(other.file)
  await written(file)
})

t.test('a database that was killed in the middle of a checkpoint is opened again, with what is in its log', async t => {
  const PAGE = 4096
  const { folder, file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  const ids: string[] = []
  for (let i = 0; i < 20; i++) ids.push((await saved(store, aJob({ descriptor: large() }))).id)
  for (const name of ['before', 'after']) {
    await mkdir(join(folder, name))
    for (const end of ['', '-wal', '.marker']) await copyFile(file + end, join(folder, name, NAME + end))
  }
  await store.close()
  const [before, after] = [join(folder, 'before', NAME), join(folder, 'after', NAME)]
  const db = new DatabaseSync(after)
  db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  const [old, whole] = [await readFile(before), await readFile(after)]
  db.close()
  t.ok(whole.length > old.length + 40 * PAGE, 'it makes the file longer')

  // A checkpoint writes the pages in their order, and touches the log only when all of them are on disk.
  for (const written of [0, 1, 2, old.length / PAGE, old.length / PAGE + 20, whole.length / PAGE]) {
    const place = join(folder, String(written))
    await mkdir(place)
    const torn = join(place, NAME)
    await writeFile(torn, Buffer.concat([whole.subarray(0, written * PAGE), old.subarray(written * PAGE)]))
    for (const end of ['-wal', '.marker']) await copyFile(before + end, torn + end)
    const again = await openSqliteStore({ file: torn })
    t.same((await again.jobs.list({})).map(({ id }) => id).sort(), ids.sort(), `after ${written} pages`)
    await again.close()
    t.same((await readdir(place)).sort(), [NAME, `${NAME}.marker`], 'nothing else is left')
  }
})

t.test('the log beside a database that was emptied is left as it is', async t => {
  const { folder, file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  await saved(store, aJob())
  const place = join(folder, 'killed')
  await mkdir(place)
  for (const end of ['', '-wal', '.marker']) await copyFile(file + end, join(place, NAME + end))
  await store.close()
  const killed = join(place, NAME)
  const log = await readFile(`${killed}-wal`)
  for (const length of [0, 10]) {
    await truncate(killed, length)
    await t.rejects(openSqliteStore({ file: killed }), { code: 'store_unavailable' })
    t.same(await readFile(`${killed}-wal`), log, `a file of ${length} bytes`)
  }
})

t.test('what cannot be read as a file is refused in one line, also beside a log', async t => {
  const { file } = await folderOf(t)
  await mkdir(file)
  await writeFile(`${file}-wal`, 'x')
  await t.rejects(openSqliteStore({ file }), { code: 'store_unavailable' })
})

t.test('each checkpoint raises the count, so that a database from before it is known', async t => {
  const { folder, file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  const marker = async () => JSON.parse(await readFile(`${file}.marker`, 'utf8')) as { id: string; count: number }
  const first = await marker()
  await copyFile(file, join(folder, 'early'))
  for (let i = 0; i < 60; i++) {
    await saved(store, aJob({ descriptor: { ...aJob().descriptor, image: 'x'.repeat(100_000) } }))
  }
  await store.close()
  const last = await marker()
  t.equal(last.id, first.id)
  t.ok(last.count > first.count + 1, `${first.count} to ${last.count}`)
})

t.test('a damaged page is found after a kill, before anything is served', async t => {
  const { file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  for (let i = 0; i < 50; i++) await saved(store, aJob())
  await store.close()
  await killed(file)
  const pages = await readFile(file)
  pages.fill(0x5a, 8 * 4096, 20 * 4096)
  await writeFile(file, pages)
  await refused(
    t,
    file,
    /cannot be used: it is damaged \(.*\)\. Restore a backup: system-manager restore FILE|malformed/
  )
})

t.test('files that are removed or replaced while in use make writes fail, and the check', async t => {
  for (const remove of [
    (file: string) => rm(dirname(file), { recursive: true }),
    (file: string) => rm(file),
    (file: string) => rm(`${file}-wal`),
    async (file: string) => {
      await rename(file, `${file}.away`)
      await copyFile(`${file}.away`, file)
    }
  ]) {
    const { file } = await folderOf(t)
    const store = await openSqliteStore({ file })
    await saved(store, aJob())
    await remove(file)
    await t.rejects(saved(store, aJob()), {
      code: 'store_unavailable',
      message: /was removed or replaced while it was in use/
    })
    await t.rejects(store.check(), { code: 'store_unavailable' })
    await store.close()
  }
})

t.test('a folder where none can be made fails at once', async t => {
  await t.rejects(openSqliteStore({ file: join('/proc/x/y', NAME) }), {
    code: 'store_unavailable',
    message: /^The folder \/proc\/x\/y for the database cannot be made: ENOENT/
  })
  const { folder } = await folderOf(t)
  await writeFile(join(folder, 'file'), '')
  await t.rejects(openSqliteStore({ file: join(folder, 'file', 'x', NAME) }), { message: /cannot be made: ENOTDIR/ })
  await openSqliteStore({ file: join(folder, 'a', 'b', 'c', NAME) }).then(store => store.close())
})

/** Writes jobs until `done`; gives the ids of all that were acknowledged. */
async function writeUntil (done: Promise<unknown>, store: Store): Promise<string[]> {
  const ids: string[] = []
  const state = { isOver: false }
  const stop = () => {
    state.isOver = true
  }
  done.then(stop, stop)
  while (!state.isOver) ids.push((await saved(store, aJob())).id)
  return ids
}

t.test('a backup while a server writes is whole and has all that was acknowledged before it', async t => {
  const { folder, file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  for (let i = 0; i < 100; i++) await saved(store, aJob())
  const before = (await store.jobs.list({})).map(({ id }) => id)
  const target = join(folder, 'backup.db')
  const backup = backupDatabase({ DATA_DIR: folder, ...NO_MONGO }, target)
  const during = await writeUntil(backup, store)
  t.match(await backup, /backup\.db has \d+ MB and is in order/)
  t.ok(during.length > 0, 'it went on writing')
  await t.rejects(backupDatabase({ DATA_DIR: folder, ...NO_MONGO }, target), {
    message: /exists, and is not overwritten/
  })
  await t.rejects(restoreDatabase({ DATA_DIR: folder, ...NO_MONGO }, target), {
    message: /is in use by another System Manager/
  })
  const late = (await saved(store, aJob())).id
  await store.close()
  t.notOk((await readdir(folder)).some(name => /partial|sock/.test(name)))

  t.match(
    await restoreDatabase({ DATA_DIR: folder, ...NO_MONGO }, target),
    /backup\.db is the database in .* now; the one before is in .*system-manager\.db\.before-/
  )
  const again = await openSqliteStore({ file })
  const ids = new Set((await again.jobs.list({})).map(({ id }) => id))
  t.same(
    before.filter(id => !ids.has(id)),
    []
  )
  t.notOk(ids.has(late), 'what came after it is not in it')
  await saved(again, aJob())
  await again.close()
})

t.test('a backup of a database that nobody has open, restored into an empty folder', async t => {
  const { folder, file } = await folderOf(t)
  const id = await written(file)
  await killed(file)
  const target = join(folder, 'backup.db')
  await backupDatabase({ DATA_DIR: folder, ...NO_MONGO }, target)
  const other = await folderOf(t)
  await mkdir(join(other.folder, 'new'))
  const settings = { DATA_DIR: join(other.folder, 'new'), ...NO_MONGO }
  t.match(await restoreDatabase(settings, target), /is the database in .*new now$/)
  const store = await openSqliteStore({ file: join(settings.DATA_DIR, NAME) })
  t.ok(await store.jobs.get(id))
  await store.close()
})

t.test('what is no database is not restored, and MongoDB has tools of its own', async t => {
  const { folder, file } = await folderOf(t)
  await written(file)
  const bad = join(folder, 'bad')
  await writeFile(bad, 'this is no database')
  for (const source of [bad, join(folder, 'missing')]) {
    await t.rejects(restoreDatabase({ DATA_DIR: folder, ...NO_MONGO }, source), {
      message: /is no database that can be used/
    })
  }
  await written(file)
  const mongo = { DATA_DIR: folder, MONGO_URI: 'mongodb://x', CLOUD_MONGO_URL: '' }
  for (const command of [adoptDatabase, backupDatabase, restoreDatabase]) {
    await t.rejects(async () => command(mongo, bad), { message: /The data is in MongoDB/ })
  }
})

t.test('the socket for backups is for the same user, refuses nonsense, and is no obstacle to the end', async t => {
  const { folder, file } = await folderOf(t)
  const store = await openSqliteStore({ file })
  const ask = async (text: string) => {
    const socket = createConnection(backupSocketOf(file))
    socket.end(text)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  }
  t.match(await ask(join(folder, 'none', 'x')), /"error":".*"/)
  t.match(await ask(''), /"error"/)
  const idle = createConnection(backupSocketOf(file))
  idle.on('error', () => {})
  await once(idle, 'connect')
  await store.close()
})
