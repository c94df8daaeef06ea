import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compileAll } from './compile.js'

/**
 * Runs the tests whose paths begin with one of the arguments, or all of them, and writes TAP. Each file runs in its own
 * process, without a loader. Those of test/unit share one, since they start no processes and leave no state.
 */

const COMPILED = join(import.meta.dirname, '../.compiled')
/** Property tests take long, so they do not share a process. */
const isPure = file => file.startsWith('test/unit/') && !file.endsWith('.property.test.ts')
/** Milliseconds after which a process counts as hanging, on a quiet machine. */
const HANGS_MS = 300_000

const prefixes = process.argv.slice(2).map(argument => argument.replace(/^\.\//, ''))
const files = await compileAll()
const selected = prefixes.length === 0 ? files : files.filter(file => prefixes.some(prefix => file.startsWith(prefix)))
const { patience } = await import('../.compiled/test/support/waiting.js')
const unused = prefixes.filter(prefix => !files.some(file => file.startsWith(prefix)))
if (unused.length > 0) throw new Error(`there is no test at ${unused.join(' or ')}`)

/** Runs without NODE_OPTIONS: tap sets a loader there, which takes longer per process than most tests. */
async function run (name, sources) {
  const scripts = sources.map(source => join(COMPILED, source.replace(/\.ts$/, '.js')))
  const main = scripts.length === 1 ? scripts : [join(COMPILED, 'test/support/together.js'), ...scripts]
  const timeout = Math.round(patience(HANGS_MS))
  const results = await t.spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', ...main], {
    name,
    buffered: true,
    timeout,
    env: { ...process.env, TAP_TIMEOUT: String(timeout / 1000) }
  })
  process.stderr.write(`${((results?.time ?? 0) / 1000).toFixed(1).padStart(6)} s  ${name}\n`)
}

t.jobs = availableParallelism()
t.setTimeout(0)
const pure = selected.filter(isPure)
const groups = [...pure.length > 0 ? [pure] : [], ...selected.filter(file => !isPure(file)).map(file => [file])]
const work = async () => {
  for (let group = groups.shift(); group; group = groups.shift()) {
    await run(group.length === 1 ? group[0] : `test/unit (${group.length} files)`, group)
  }
}
await Promise.all(Array.from({ length: t.jobs }, work))
