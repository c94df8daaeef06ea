import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { compileAll } from './compile.js'

/**
 * Runs the tests whose paths begin with one of the arguments, or all, and writes TAP. Loading the server costs more than
 * most tests do: the files of a folder share a process. Those that start processes, or take long, have one of their own.
 */

const COMPILED = join(import.meta.dirname, '../.compiled')
const OWN_PROCESS = /^test\/(process|multi-manager|faults)\/|\.property\.test\.ts$/
/** Milliseconds after which a process hangs rather than is slow, on a quiet machine. */
const HANGS_MS = 600_000
/** Most tests wait most of the time. On one database for all of them they would empty it under each other. */
const JOBS = process.env.MONGO_URI ? 1 : availableParallelism() + 1

const prefixes = process.argv.slice(2).map(argument => argument.replace(/^\.\//, ''))
const files = await compileAll()
const selected = prefixes.length === 0 ? files : files.filter(file => prefixes.some(prefix => file.startsWith(prefix)))
const { patience } = await import('../.compiled/test/support/waiting.js')
const unused = prefixes.filter(prefix => !files.some(file => file.startsWith(prefix)))
if (unused.length > 0) throw new Error(`there is no test at ${unused.join(' or ')}`)

/** The pure tests are one group, each folder of others is one. */
function groupOf (file) {
  if (OWN_PROCESS.test(file)) return file
  return file.startsWith('test/unit/') ? 'test/unit' : dirname(file)
}

/** Without NODE_OPTIONS: tap puts a loader there, which costs each process more than most tests do. */
async function run (name, sources) {
  const scripts = sources.map(source => join(COMPILED, source.replace(/\.ts$/, '.js')))
  const main = scripts.length === 1 ? scripts : [join(COMPILED, 'test/support/together.js'), name]
  const timeout = Math.round(patience(HANGS_MS))
  const results = await t.spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', ...main], {
    name,
    buffered: true,
    timeout,
    env: { ...process.env, TAP_TIMEOUT: String(timeout / 1000), TEST_FILES: JSON.stringify(scripts) }
  })
  process.stderr.write(`${((results?.time ?? 0) / 1000).toFixed(1).padStart(6)} s  ${name}\n`)
}

t.jobs = JOBS
t.setTimeout(0)
const byName = {}
for (const file of selected) (byName[groupOf(file)] ??= []).push(file)
// The longest first, so that none is left over in the end.
const groups = Object.entries(byName).sort(([, a], [, b]) => b.length - a.length)
const work = async () => {
  for (let group = groups.shift(); group; group = groups.shift()) await run(...group)
}
await Promise.all(Array.from({ length: JOBS }, work))
