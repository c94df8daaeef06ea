import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ApiError } from '../../../schemas/errors.js'
import { createAddressPool } from '../../../stores/sqlite/addresses.js'
import { createClusterStore } from '../../../stores/sqlite/clusters.js'
import { openConnection, type Connection } from '../../../stores/sqlite/connection.js'
import { openDatabase, type Statement } from '../../../stores/sqlite/database.js'
import { createGroupCommit } from '../../../stores/sqlite/group-commit.js'
import { createJobStore } from '../../../stores/sqlite/jobs.js'
import { createOutbox } from '../../../stores/sqlite/outbox.js'
import type { Store } from '../../../stores/store.js'
import { aJob, addressesOf, on, registered, saved, undeployed } from './samples.js'

async function opened (t: Test): Promise<Connection> {
  const connection = await openConnection({ file: join(t.testdir(), 'a.db') })
  t.teardown(() => connection.close())
  return connection
}

/** A connection with a table to write into. */
async function withNotes (t: Test) {
  const connection = await opened(t)
  await connection.write(() => { connection.prepare('CREATE TABLE notes (text TEXT UNIQUE)').run() })
  const insert = connection.prepare('INSERT INTO notes VALUES (?)')
  const select = connection.prepare<{ text: string }>('SELECT text FROM notes ORDER BY rowid')
  return { connection, note: (text: string) => insert.run(text), notes: () => select.all().map(({ text }) => text) }
}

/** The store over a connection whose inside can be looked at. */
function storeOver (connection: Connection): Store {
  const outbox = createOutbox(connection)
  return { clusters: createClusterStore(connection), jobs: createJobStore(connection, createAddressPool(connection), outbox) } as Store
}

/** Rejects when it takes too long: what never ends would hold up all tests of the file. */
async function inTime<T> (work: Promise<T>): Promise<T> {
  const limit = new AbortController()
  try {
    return await Promise.race([work, sleep(20_000, undefined, { signal: limit.signal }).then(() => { throw new Error('it did not end within 20 s') })])
  } finally {
    limit.abort()
  }
}

/**
 * Writes the same again and again until it has taken as few transactions as it should, `wanted`: a busy machine may take
 * the process away in the middle of a batch, which then ends early. Fewer are never right.
 */
async function takesTransactions (t: Test, wanted: number, counter: { readonly commits: number }, write: (round: number) => Promise<unknown>) {
  const rounds: number[] = []
  while (rounds.at(-1) !== wanted && rounds.length < 50) {
    const before = counter.commits
    await inTime(write(rounds.length))
    // None comes after it, either.
    await new Promise(resolve => setImmediate(resolve))
    rounds.push(counter.commits - before)
  }
  t.equal(Math.min(...rounds), wanted, `transactions of each round: ${rounds.join()}`)
  return rounds.length
}

t.test('64 writers at the same time share one transaction', async t => {
  const { connection, note, notes } = await withNotes(t)
  const rounds = await takesTransactions(t, 1, connection, round =>
    Promise.all(Array.from({ length: 64 }, (_, index) => connection.write(() => note(`${round} ${index}`)))))
  t.equal(notes().length, 64 * rounds)
})

t.test('a write that is left alone after a full batch is committed too', async t => {
  const { connection } = await withNotes(t)
  // Of 512 at most; a busy machine may end a batch earlier, and then more than one is left: not every time.
  for (let round = 0; round < 30; round++) {
    const done = await inTime(Promise.all(Array.from({ length: 513 }, (_, index) => connection.write(() => index))))
    t.equal(done.at(-1), 512)
  }
})

t.test('a COMMIT that fails fails all of its batch, and none after it', async t => {
  const { connection, note, notes } = await withNotes(t)
  const before = connection.commits
  // Foreign keys that are checked at the end only: SQLite refuses the COMMIT and leaves the transaction open.
  const defer = connection.prepare('PRAGMA defer_foreign_keys = ON')
  const orphan = connection.prepare("INSERT INTO outbox (cluster_id, seq, command) VALUES ('no cluster', 1, '{}')")
  const results = await Promise.allSettled([
    connection.write(() => note('a')),
    connection.write(() => {
      defer.run()
      orphan.run()
    }),
    connection.write(() => note('b'))
  ])
  for (const result of results) t.match(result, { status: 'rejected', reason: { message: /FOREIGN KEY constraint failed/ } })
  t.strictSame(notes(), [])
  t.equal(connection.commits, before)
  await inTime(connection.write(() => note('c')))
  t.strictSame(notes(), ['c'])
})

t.test('a slow BEGIN does not keep writes from sharing its transaction', async t => {
  const db = openDatabase(join(t.testdir(), 'slow.db'))
  t.teardown(() => db.close())
  db.exec('CREATE TABLE notes (text TEXT)')
  const insert = db.prepare('INSERT INTO notes VALUES (?)')
  const group = createGroupCommit({ ...db, get isTransaction () { return db.isTransaction }, prepare: sql => sql === 'BEGIN IMMEDIATE' ? slow(db.prepare(sql)) : db.prepare(sql) })
  t.equal(group.commits, 0)
  await takesTransactions(t, 1, group, () => Promise.all(['a', 'b', 'c'].map(text => group.write(() => insert.run(text)))))
})

/** As on a disk that is busy. */
function slow<Row> (statement: Statement<Row>): Statement<Row> {
  return {
    get: (...values) => statement.get(...values),
    all: (...values) => statement.all(...values),
    run (...values) {
      const until = performance.now() + 30
      while (performance.now() < until);
      return statement.run(...values)
    }
  }
}

t.test('a write that fails fails alone, and what it did is undone', async t => {
  const { connection, note, notes } = await withNotes(t)
  const before = connection.commits
  const results = await Promise.allSettled([
    connection.write(() => note('a')),
    connection.write(() => {
      note('b')
      throw new Error('changed my mind')
    }),
    connection.write(() => {
      note('c')
      note('a')
    }),
    connection.write(() => {
      note('d')
      return 'done'
    })
  ])
  t.match(results, [
    { status: 'fulfilled' },
    { status: 'rejected', reason: { message: 'changed my mind' } },
    { status: 'rejected', reason: { message: /UNIQUE constraint failed/ } },
    { status: 'fulfilled', value: 'done' }
  ])
  t.notOk(results.some(result => result.status === 'rejected' && result.reason instanceof ApiError), 'a mistake of ours is not called an outage')
  t.strictSame(notes(), ['a', 'd'])
  t.ok(connection.commits > before)
})

t.test('a part of a write that is not kept is undone, the rest stays', async t => {
  const { connection, note, notes } = await withNotes(t)
  const kept = await connection.write(() => {
    note('a')
    const kept = ['b', 'c'].map(text => connection.attempt(() => {
      note(text)
      return text
    }, result => result === 'c'))
    note('d')
    return kept
  })
  t.strictSame(kept, ['b', 'c'])
  t.strictSame(notes(), ['a', 'c', 'd'])
})

t.test('a write that fails is undone as a whole, whether a part of it was kept or not', async t => {
  const { connection, note, notes } = await withNotes(t)
  for (const kept of [true, false]) {
    const failed = connection.write(() => {
      note('a')
      connection.attempt(() => note('b'), () => kept)
      throw new Error('changed my mind')
    })
    await t.rejects(failed, { message: 'changed my mind' })
    t.strictSame(notes(), [], `kept: ${kept}`)
  }
})

t.test('to be drained means that the last write is committed, and that none is taken any more', async t => {
  const db = openDatabase(join(t.testdir(), 'drained.db'))
  t.teardown(() => db.close())
  const group = createGroupCommit(db)
  const last = group.write(() => 'done')
  await group.drained()
  t.equal(group.commits, 1)
  t.equal(await last, 'done')
  await t.rejects(group.write(() => {}), { code: 'shutting_down' })
  await group.drained()
})

t.test('a write is not acknowledged before its transaction is committed, nor seen by a reader', async t => {
  const { connection, note, notes } = await withNotes(t)
  const commits = connection.commits
  let acknowledgedAt: number | undefined
  const write = connection.write(() => note('a')).then(() => { acknowledgedAt = connection.commits })
  t.strictSame(await connection.read(notes), [])
  await write
  t.equal(acknowledgedAt, commits + 1)
  t.strictSame(await connection.read(notes), ['a'])
})

t.test('a long queue is committed in several transactions, in order', async t => {
  const { connection, note, notes } = await withNotes(t)
  const [writes, most] = [2000, 512]
  const order: number[] = []
  const rounds = await takesTransactions(t, Math.ceil(writes / most), connection, round =>
    Promise.all(Array.from({ length: writes }, (_, index) => round * writes + index).map(async number => {
      await connection.write(() => note(String(number)))
      order.push(number)
    })))
  t.strictSame(order, Array.from({ length: writes * rounds }, (_, index) => index))
  t.strictSame(notes().map(Number), order)
})

t.test('slow writes do not keep the event loop for a whole batch', async t => {
  const { connection, note, notes } = await withNotes(t)
  // Two of them last longer than the 25 ms after which no further one joins.
  const rounds = await takesTransactions(t, 3, connection, round =>
    Promise.all(Array.from({ length: 6 }, (_, index) => connection.write(() => {
      const until = performance.now() + 15
      while (performance.now() < until);
      note(String(round * 6 + index))
    }))))
  t.strictSame(notes().map(Number), Array.from({ length: 6 * rounds }, (_, index) => index))
})

t.test('what a slow batch left for the next one does not fail with it', async t => {
  const { connection, note, notes } = await withNotes(t)
  const defer = connection.prepare('PRAGMA defer_foreign_keys = ON')
  const orphan = connection.prepare("INSERT INTO outbox (cluster_id, seq, command) VALUES ('no cluster', 1, '{}')")
  const results = await Promise.allSettled([
    connection.write(() => {
      defer.run()
      orphan.run()
      // Longer than a batch may take: the next write is one of the next batch.
      const until = performance.now() + 100
      while (performance.now() < until);
    }),
    connection.write(() => note('next'))
  ])
  t.match(results, [{ status: 'rejected', reason: { message: /FOREIGN KEY/ } }, { status: 'fulfilled' }])
  t.strictSame(notes(), ['next'])
})

t.test('only a batch without any durable write leaves out the fsync', async t => {
  const { connection, note } = await withNotes(t)
  // SQLite answers a PRAGMA with what held when it was prepared, so each look is a statement of its own.
  let looks = 0
  const mode = () => connection.prepare<{ synchronous: number }>(`PRAGMA synchronous -- ${looks++}`).get()!.synchronous
  const [normal, full] = [1, 2]
  await connection.write(() => note('a'), { durable: false })
  t.equal(mode(), normal)
  await Promise.all([connection.write(() => note('b'), { durable: false }), connection.write(() => note('c'))])
  t.equal(mode(), full)
})

t.test('whether a batch waits for the disk is said to SQLite only when it changes', async t => {
  const db = openDatabase(join(t.testdir(), 'modes.db'))
  t.teardown(() => db.close())
  const said: string[] = []
  const group = createGroupCommit({
    ...db,
    get isTransaction () { return db.isTransaction },
    exec (sql) {
      said.push(sql)
      db.exec(sql)
    }
  })
  for (const durable of [true, true, false, false, true]) await group.write(() => {}, { durable })
  t.strictSame(said, ['FULL', 'NORMAL', 'FULL'].map(mode => `PRAGMA synchronous = ${mode}`))
})

t.test('a full disk is an outage for the writers it hits, and over when there is room again', async t => {
  const { connection, note, notes } = await withNotes(t)
  const { page_count: pages } = connection.prepare<{ page_count: number }>('PRAGMA page_count').get()!
  connection.prepare(`PRAGMA max_page_count = ${pages + 2}`).get()
  const results = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => connection.write(() => note(String(index).repeat(3000)))))
  const failed = results.filter(result => result.status === 'rejected')
  t.ok(failed.length > 0)
  for (const { reason } of failed) t.match(reason, { code: 'store_unavailable', message: /full/, cause: { errcode: 13 } })
  t.equal(notes().length, 10 - failed.length, 'exactly what was acknowledged is there')
  connection.prepare('PRAGMA max_page_count = 100000').get()
  await connection.write(() => note('room again'))
  t.equal(notes().at(-1), 'room again')
})

t.test('a transaction that SQLite gives up fails all of its batch, and none after it', async t => {
  const { connection, note, notes } = await withNotes(t)
  const rollback = connection.prepare('ROLLBACK')
  const results = await Promise.allSettled([
    connection.write(() => note('a')),
    connection.write(() => {
      rollback.run()
      throw new Error('given up')
    }),
    connection.write(() => note('b'))
  ])
  t.strictSame(results.map(({ status }) => status), ['rejected', 'rejected', 'rejected'])
  await connection.write(() => note('c'))
  t.strictSame(notes(), ['c'])
})

t.test('a commit writes the rows of those instances only that changed', async t => {
  const connection = await opened(t)
  const store = storeOver(connection)
  const { id: clusterId } = await registered(store)
  const job = on(await saved(store, aJob({ instances: 1000 })), clusterId)
  const changes = connection.prepare<{ total: number }>('SELECT total_changes() AS total')
  const placed = await saved(store, job)
  const before = changes.get()!.total
  await saved(store, { ...placed, instance_list: placed.instance_list.map(instance => instance.instance_number === 7 ? { ...instance, status: 'RUNNING' } : instance) })
  t.equal(changes.get()!.total - before, 2, 'the job and one instance')
})

t.test('an address that was given back is leased again only after all others, the longest free first', async t => {
  const store = storeOver(await opened(t))
  const [first, second] = [await saved(store, aJob()), await saved(store, aJob())]
  const freed = [...addressesOf(second), ...addressesOf(first)]
  await saved(store, undeployed(second))
  await saved(store, undeployed(first))
  for (let left = 65534 - 4; left > 0; left -= 1000) {
    const job = await saved(store, aJob({ instances: Math.min(left, 1000) - 1 }))
    if (addressesOf(job).some(address => freed.includes(address))) return t.fail('leased too early')
  }
  t.strictSame(addressesOf(await saved(store, aJob())).sort(), freed.slice(0, 2).sort())
  t.strictSame(addressesOf(await saved(store, aJob())).sort(), freed.slice(2).sort())
})
