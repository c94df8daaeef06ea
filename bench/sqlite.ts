import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'

/**
 * Measures @photostructure/sqlite, which the embedded store uses, against node:sqlite, with the operations of the
 * store: groups of writes in one durable transaction, reads by key, pages of documents. Both take turns: read the
 * ratios. Needs node:sqlite, so Node.js 24 or newer, which runs TypeScript directly: `node bench/sqlite.ts`.
 */

type Database = InstanceType<typeof DatabaseSync>

/** In a variable, since the types of the oldest supported Node.js do not include it. */
const builtIn = 'node:sqlite'
const { DatabaseSync: BuiltIn } = await import(builtIn) as { DatabaseSync: typeof DatabaseSync }

const ROUNDS = 7
const JOBS = 5000
const GROUP = 50
const TEXT = 'x'.repeat(1500)
const document = (id: number): string => JSON.stringify({ id, job_name: `demo.default.s${id}.test`, text: TEXT })

const folder = mkdtempSync(join(tmpdir(), 'system-manager-bench-'))

function open (Kind: typeof DatabaseSync, name: string): Database {
  const db = new Kind(join(folder, name))
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec('CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT NOT NULL, document TEXT NOT NULL) STRICT')
  db.exec('CREATE INDEX jobs_status ON jobs (status, id)')
  return db
}

const operations: Array<[name: string, run: (db: Database) => void]> = [
  ['write, 50 in a transaction', db => {
    const write = db.prepare('INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)')
    for (let id = 0; id < JOBS; id += GROUP) {
      db.exec('BEGIN IMMEDIATE')
      for (let next = id; next < id + GROUP; next++) write.run(next, next % 2 ? 'RUNNING' : 'FAILED', document(next))
      db.exec('COMMIT')
    }
  }],
  ['read by key', db => {
    const read = db.prepare('SELECT document FROM jobs WHERE id = ?')
    for (let times = 0; times < 8; times++) for (let id = 0; id < JOBS; id++) read.get(id)
  }],
  ['pages of 100 by an index', db => {
    const page = db.prepare('SELECT id, document FROM jobs WHERE status = ? AND id > ? ORDER BY id LIMIT 100')
    for (let times = 0; times < 8; times++) for (let id = 0; id < JOBS; id += 200) page.all('RUNNING', id)
  }]
]

const databases = [open(DatabaseSync, 'photostructure.db'), open(BuiltIn, 'built-in.db')] as const
console.log(`Node.js ${process.versions.node}; median of ${ROUNDS} rounds (least-most)\n`)
console.log('operation                    @photostructure    node:sqlite    node:sqlite takes')
for (const [name, run] of operations) {
  const rounds = Array.from({ length: ROUNDS + 1 }, () => databases.map(db => {
    const began = performance.now()
    run(db)
    return performance.now() - began
  }) as [ours: number, builtIn: number])
  // The first round is a warm-up.
  const sorted = rounds.slice(1).sort((a, b) => a[1] / a[0] - b[1] / b[0])
  const ratio = (index: number): string => (sorted[index]![1] / sorted[index]![0]).toFixed(2)
  const [ours, its] = sorted[Math.floor(ROUNDS / 2)]!
  console.log(
    `${name.padEnd(28)} ${ours.toFixed(0).padStart(12)} ms ${its.toFixed(0).padStart(11)} ms    ` +
      `${ratio(Math.floor(ROUNDS / 2))} of the time (${ratio(0)}-${ratio(ROUNDS - 1)})`
  )
}
for (const db of databases) db.close()
rmSync(folder, { recursive: true })
