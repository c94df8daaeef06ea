import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { appendFile, copyFile, cp, mkdtemp, open, readFile, rename, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { freePort } from '../process/start-up/free-port.js'
import { startServerProcess } from '../support/server-process.js'
import { eventually, patience } from '../support/waiting.js'
import { deployRequest, descriptorOf } from './acts.js'
import { limitedFiles, mountedDisk } from './full-disk.js'
import { lengthOf, tell, type Length } from './length.js'
import { impatient, startStandingServer, type StandingServer } from './standing-server.js'
import { startWork, type Work } from './work.js'

const PAGE = 4096

interface Scene {
  folder: string
  env: Record<string, string> & { MY_PORT: string }
  server: StandingServer
  work: Work
  length: Length
  /** Chance, from the seed. */
  pick(most: number): number
}

/** A server under work, with its database in this folder. */
async function startScene (t: Test, length: Length, home?: string): Promise<Scene> {
  const place = home ?? (await mkdtemp(join(tmpdir(), 'disk-')))
  if (home === undefined) t.teardown(() => rm(place, { recursive: true, force: true }))
  const DATA_DIR = join(place, 'data')
  const env = { ...impatient(patience(10)), MY_PORT: await freePort(), DATA_DIR }
  const server = await startStandingServer(t, env)
  const work = await startWork(t, { url: () => server.url, seed: length.seed })
  const chances = fc.sample(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    seed: length.seed,
    numRuns: 20_000
  })
  let next = 0
  return { folder: DATA_DIR, env, server, work, length, pick: most => Math.floor(chances[next++]! * (most + 1)) }
}

/** The three files of a database, by what they are. */
const filesIn = (folder: string) => {
  const database = join(folder, 'system-manager.db')
  return { database, log: `${database}-wal`, marker: `${database}.marker` }
}

async function readiness (url: string): Promise<{ status: number; failed: string[] }> {
  const answer = await fetch(`${url}/readyz`)
  const { checks } = (await answer.json()) as { checks: Array<{ name: string; ok: boolean }> }
  return { status: answer.status, failed: checks.filter(({ ok }) => !ok).map(({ name }) => name) }
}

/** Whether a write is answered 503, and why. Nothing of it comes to a cluster. */
let writes = 0
async function write (url: string): Promise<{ status: number; code?: string }> {
  const probe = descriptorOf({ app: 'probe', service: `p${writes++}`, image: 'none', replicas: 0 })
  const answer = await fetch(`${url}/api/v1/jobs`, deployRequest([probe], 'json'))
  const { code } = (await answer.json()) as { code?: string }
  return { status: answer.status, ...(code !== undefined && { code }) }
}

/** Starts a server on what is there by now; gives the line with which it refuses. */
async function refusal (t: Test, { env }: Scene): Promise<string | undefined> {
  try {
    const started = await startServerProcess(t, { ...env, MY_PORT: '0' })
    await started.end('SIGKILL')
    return undefined
  } catch (err) {
    return (err as Error).message
  }
}

async function isRight (t: Test, { work }: Scene, what: string): Promise<void> {
  const wrong = await work.examine({ isOver: true })
  t.same(wrong, [], what)
  if (wrong.length > 0) throw new Error(what)
  await work.go()
}

for (const [what, makeDisk] of [
  ['a disk is full', mountedDisk],
  ['files may not grow', limitedFiles]
] as const) {
  t.test(`while ${what}, writes are refused and nothing that was acknowledged is lost`, async t => {
    const disk = await makeDisk(t)
    if (!disk) {
      // Who may not mount still has the other one of the two, which any process on Linux may do.
      t.pass('mounting is not permitted here', { skip: true })
      return
    }
    const length = lengthOf(t, 2)
    const scene = await startScene(t, length, disk.home)
    const { server, work, pick } = scene
    let times = 0
    while (!length.isOver() || times === 0) {
      await sleep(100 + pick(500))
      const { pid } = server.process.child
      disk.fill(pid!)
      await eventually(
        () => write(server.url),
        ({ status }) => status === 503
      )
      t.match(await write(server.url), { status: 503, code: 'store_unavailable' })
      const { status, failed } = await readiness(server.url)
      t.equal(status, 503)
      t.ok(failed.includes('store'), failed.join())
      times++
      // Reads go on: what the users see now, they saw acknowledged.
      if (pick(1) === 0) await isRightInBetween(t, scene)
      else await sleep(pick(300))
      const isKilled = pick(1) === 0
      if (isKilled) await server.kill()
      else disk.free(pid!)
      if (isKilled) {
        disk.free(process.pid)
        await server.start()
      }
      await eventually(
        () => readiness(server.url),
        seen => seen.status === 200
      )
      await isRight(t, scene, `after ${times} times ${disk.error}${isKilled ? ' and a kill' : ''}`)
    }
    const done = await work.finish(t)
    tell(t, { [disk.error]: times, ...done })
  })
}

/** The users pause, and nothing may be missing from what can be read. What of the rest will be there, nobody knows. */
async function isRightInBetween (t: Test, { work }: Scene): Promise<void> {
  t.same(await work.examine(), [], 'while nothing can be written')
  work.users.resume()
}

t.test(
  'with half a frame, a damaged page or older files the server has all that was acknowledged, or refuses',
  async t => {
    const length = lengthOf(t, 3)
    const scene = await startScene(t, length)
    const { folder, server, work, pick } = scene
    const { database, log, marker } = filesIn(folder)
    const aside = `${folder}.aside`
    const figures = { 'half frames': 0, 'older files': 0, 'damaged pages': 0, 'of which refused': 0 }

    /** A kill leaves half of what was about to be written. */
    async function leaveHalfAFrame (): Promise<void> {
      await server.kill()
      await appendFile(log, randomBytes(1 + pick(2 * PAGE)))
      figures['half frames']++
      await server.start()
    }

    async function putBackOlder (): Promise<void> {
      await server.process.end('SIGTERM')
      await copyFile(database, `${database}.old`)
      await server.start()
      work.users.resume()
      await sleep(pick(400))
      await server.kill()
      await cp(folder, aside, { recursive: true })
      await rename(`${database}.old`, database)
      if (pick(1) === 0) await rm(log)
      t.match(await refusal(t, scene), /is older than the one that was here last|-wal is missing/)
      figures['older files']++
      await putBack()
    }

    async function damagePage (): Promise<void> {
      await server.kill()
      await cp(folder, aside, { recursive: true })
      const pages = statSync(database).size / PAGE
      const file = await open(database, 'r+')
      await file.write(Buffer.alloc(PAGE, 0x5a), 0, PAGE, pick(pages - 1) * PAGE)
      await file.close()
      figures['damaged pages']++
      const line = await refusal(t, scene)
      // Else the log has a newer state of that page, or nothing is in it.
      if (line !== undefined) {
        figures['of which refused']++
        t.match(
          line,
          /^the server ended with 1: system-manager: [^\n]*(damaged|malformed|not a database|not the one|cannot be)/
        )
        t.notMatch(line, /\n/, 'one line')
      }
      await putBack()
    }

    async function putBack (): Promise<void> {
      await rm(folder, { recursive: true })
      await rename(aside, folder)
      t.ok(existsSync(marker) && (await readFile(marker)).length > 0)
      await server.start()
    }

    const blows = [leaveHalfAFrame, putBackOlder, damagePage]
    for (let turn = 0; turn < blows.length || !length.isOver(); turn++) {
      await sleep(pick(500))
      const blow = blows[turn % blows.length]!
      await blow()
      await isRight(t, scene, `after ${blow.name}`)
    }
    const done = await work.finish(t)
    tell(t, { ...figures, ...done })
  }
)

t.test('while the folder is away, writes are refused; once it is back, all is there', async t => {
  const length = lengthOf(t, 1)
  const scene = await startScene(t, length)
  const { folder, server, work, pick } = scene
  let times = 0
  while (!length.isOver() || times === 0) {
    await sleep(pick(600))
    await rename(folder, `${folder}.away`)
    t.match(await write(server.url), { status: 503, code: 'store_unavailable' })
    t.match(await readiness(server.url), { status: 503, failed: ['store', 'data_folder'] })
    await sleep(pick(300))
    // Users may be told that what they ask for is so already: that writes nothing.
    t.match(await write(server.url), { status: 503, code: 'store_unavailable' })
    await server.kill()
    await rename(`${folder}.away`, folder)
    await server.start()
    await isRight(t, scene, `after ${++times} times`)
  }
  const done = await work.finish(t)
  tell(t, { 'folders away': times, ...done })
})

/**
 * A disk that says that it has what it has not. Then what was acknowledged is lost, and nobody can promise anything but
 * this: the server starts, has a state that there was, and gives no address twice. Clusters know of more by then than
 * the database does, and of what they run it cannot see the image: that they converge is not promised.
 */
t.test(
  'the end of the log is lost, as with a disk that lies: the server starts with a state that there was',
  async t => {
    const length = lengthOf(t, 2)
    const { folder, server, work, pick } = await startScene(t, length)
    const { database, log } = filesIn(folder)
    const figures = { 'torn logs': 0, 'bytes lost': 0 }
    while (!length.isOver() || figures['torn logs'] === 0) {
      await sleep(pick(300))
      t.same(await work.examine(), [])
      const { size } = statSync(log)
      const { mtimeMs } = statSync(database)
      work.ledger.doubt()
      await work.go()
      await sleep(pick(400))
      await server.kill()
      const now = statSync(log).size
      // Else a checkpoint has brought some of it into the database meanwhile.
      if (now > size && statSync(database).mtimeMs === mtimeMs) {
        const left = size + pick(now - size)
        await truncate(log, left)
        figures['torn logs']++
        figures['bytes lost'] += now - left
      }
      await server.start()
      const wrong = await work.examine({ isOver: true })
      t.same(wrong, [], JSON.stringify(figures))
      if (wrong.length > 0) return
      await work.go()
    }
    tell(t, { ...figures, ...work.ledger.figures })
  }
)
