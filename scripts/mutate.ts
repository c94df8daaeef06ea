/**
 * Mutation testing: breaks the code in small ways, one at a time, and runs the tests that should notice. A surviving
 * mutant shows a behaviour that no test asserts, or code that makes no difference.
 *
 *     npm run mutate -- embedded-scheduler                   all mutants of a room
 *     npm run mutate -- services/cluster-channel/session.ts  of a file or a folder
 *     npm run mutate -- channel --sample 50 --seed 7         50 of them; the same ones for the same seed (default 1)
 *     npm run mutate -- embedded-scheduler --list            lists them and runs nothing
 *
 * The work tree stays as it is: mutants are applied in two copies under the temporary folder, which are compiled to
 * JavaScript first, so that no run has to wait for a compiler.
 */
import { execFileSync, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { mutantsOf, type Mutant } from './mutants.js'
import { ROOMS, type Room } from './mutation-rooms.js'

/** Mutants tested at a time, each in a copy of its own. */
const COPIES = 2

/** A run may take this many times as long as without a mutant, and SLACK_MS more, since the machine has other load. */
const PATIENCE = 4
const SLACK_MS = 5000

/** Milliseconds after which a property test stops, with the runs that it has done. */
const PROPERTY_MS = 400

/** What is built, and so in no list of files, by its path. */
const BUILT = ['node_modules', 'test/support/mongo-wire/target']

/** Seconds after which tap takes a test for hanging: the limits of the runs come first. */
const TAP_TIMEOUT = '600'

type Verdict = 'noticed' | 'timed out' | 'survived'

/** One process that runs tests: `entry` imports them. */
interface Run {
  entry: string
  limitMs: number
}

const texts = new Map<string, string>()
const children = new Set<number>()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stop.abort()
    for (const pid of children) killGroup(pid)
  })
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      list: { type: 'boolean', default: false }
    }
  })
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).trim().split('\n')
  const files = listed.filter(file => ts.sys.fileExists(file))
  const work = positionals.length > 0 ? positionals : Object.keys(ROOMS)
  const verdicts: Array<[Mutant, Verdict]> = []
  for (const name of work) {
    const [room, code] = find(name, files)
    const all = (await Promise.all(code.map(async file => mutantsOf(file, await textOf(file))))).flat()
    const mutants = values.sample === undefined ? all : sample(all, Number(values.sample), Number(values.seed))
    if (values.list) for (const mutant of mutants) console.log(describe(mutant))
    else verdicts.push(...await runRoom(room, mutants, files))
    console.log(`${name}: ${mutants.length} of ${all.length} mutants`)
  }
  if (!values.list) report(verdicts)
}

/** @param name A room, a file or a folder. */
function find (name: string, files: string[]): [Room, string[]] {
  const named = ROOMS[name]
  const code = (room: Room) => files.filter(file => file.endsWith('.ts') && under(file, room.code))
  if (named) return [named, code(named)]
  for (const room of Object.values(ROOMS)) {
    const found = code(room).filter(file => file === name || file.startsWith(`${name.replace(/\/$/, '')}/`))
    if (found.length > 0) return [room, found]
  }
  throw new Error(`${name} is neither a room (${Object.keys(ROOMS).join(', ')}) nor a file of one`)
}

const under = (file: string, paths: string[]) => paths.some(path => file.startsWith(path))

async function runRoom (room: Room, mutants: Mutant[], files: string[]): Promise<Array<[Mutant, Verdict]>> {
  const tests = files.filter(file => file.endsWith('.test.ts') && under(file, room.tests))
  const root = await mkdtemp(join(tmpdir(), 'mutate-'))
  const verdicts: Array<[Mutant, Verdict]> = []
  try {
    const copies = await makeCopies(root, files, room.copies)
    const runs = await baseline(copies, room, tests)
    const queue = [...mutants]
    await Promise.all(copies.map(async copy => {
      const order = [...runs]
      for (let mutant = queue.shift(); mutant && !stop.signal.aborted; mutant = queue.shift()) {
        const verdict = await judge(copy, mutant, order)
        if (stop.signal.aborted || !verdict) continue
        verdicts.push([mutant, verdict])
        if (verdict !== 'noticed') console.log(`${verdict}: ${describe(mutant)}`)
      }
    }))
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 3 })
  }
  return verdicts
}

/** Copies of the project as JavaScript. */
async function makeCopies (root: string, files: string[], count = COPIES): Promise<string[]> {
  const [first, ...others] = Array.from({ length: count }, (_, n) => join(root, String(n)))
  for (const file of files) {
    const to = join(first!, file)
    await mkdir(dirname(to), { recursive: true })
    if (file.endsWith('.ts')) await writeFile(scriptOf(to), compile(await textOf(file)).script)
    else await cp(file, to)
  }
  for (const path of BUILT) await symlink(join(process.cwd(), path), join(first!, path))
  for (const other of others) await cp(first!, other, { recursive: true, verbatimSymlinks: true })
  return [first!, ...others]
}

/** The text of a file as first read, since the work tree may change during the run. */
async function textOf (file: string): Promise<string> {
  const text = texts.get(file) ?? await readFile(file, 'utf8')
  texts.set(file, text)
  return text
}

const scriptOf = (file: string) => file.replace(/\.ts$/, '.js')

function compile (text: string): { script: string, isValid: boolean } {
  const { outputText, diagnostics } = ts.transpileModule(text, {
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true
    }
  })
  return { script: outputText, isValid: !diagnostics?.length }
}

/** Runs the tests without a mutant: they have to pass, and their time sets the limits and the order, quickest first. */
async function baseline (
  copies: string[],
  { together, propertyMs = PROPERTY_MS }: Room,
  tests: string[]
): Promise<Run[]> {
  const runs: Run[] = []
  for (const [n, group] of (together ? [tests] : tests.map(test => [test])).entries()) {
    const entry = `mutate-${n}.mjs`
    const texts = await Promise.all(group.map(textOf))
    const properties = texts.some(text => text.includes("from 'fast-check'"))
      ? "import fc from 'fast-check'\n" +
        `fc.configureGlobal({ interruptAfterTimeLimit: ${propertyMs}, endOnFailure: true })\n`
      : ''
    // Dynamic imports: static ones would run before the line above.
    const imports = group.map(test => `await import('./${scriptOf(test)}')\n`).join('')
    for (const copy of copies) await writeFile(join(copy, entry), properties + imports)
    const began = performance.now()
    const { code, output } = await run(copies[0]!, entry, 600_000)
    if (stop.signal.aborted) break
    if (code !== 0) throw new Error(`${group.join(', ')} fails without a mutant:\n${output}`)
    runs.push({ entry, limitMs: (performance.now() - began) * PATIENCE + SLACK_MS })
  }
  return runs.sort((a, b) => a.limitMs - b.limitMs)
}

/**
 * @param runs The run that noticed a mutant moves to the front: it often notices the next one, too.
 * @returns undefined when the mutant is no valid program.
 */
async function judge (copy: string, mutant: Mutant, runs: Run[]): Promise<Verdict | undefined> {
  const file = scriptOf(join(copy, mutant.file))
  const text = await textOf(mutant.file)
  const mutated = compile(text.slice(0, mutant.start) + mutant.replacement + text.slice(mutant.end))
  if (!mutated.isValid) return undefined
  await writeFile(file, mutated.script)
  try {
    for (const [n, { entry, limitMs }] of runs.entries()) {
      const { code } = await run(copy, entry, limitMs)
      if (code === 0) continue
      runs.unshift(...runs.splice(n, 1))
      return code === undefined ? 'timed out' : 'noticed'
    }
    return 'survived'
  } finally {
    await writeFile(file, compile(text).script)
  }
}

/** @returns `code` is undefined when it took longer than `limitMs`; a process that was killed counts as failed. */
async function run (
  cwd: string,
  entry: string,
  limitMs: number
): Promise<{ code: number | undefined, output: string }> {
  const child = spawn(process.execPath, [entry], {
    cwd,
    env: { ...process.env, TAP_BAIL: '1', TAP_TIMEOUT },
    // A group of its own, so that what the tests start ends with them.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const pid = child.pid!
  children.add(pid)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-20_000) })
  }
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    killGroup(pid)
  }, limitMs)
  const code = await new Promise<number>(resolve => child.on('exit', code => resolve(code ?? 1)))
  clearTimeout(timer)
  killGroup(pid)
  children.delete(pid)
  return { code: isLate ? undefined : code, output }
}

function killGroup (pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function describe ({ file, line, original, replacement }: Mutant): string {
  const short = (text: string) => {
    const oneLine = text.replace(/\s+/g, ' ')
    return oneLine.length > 70 ? `${oneLine.slice(0, 67)}...` : oneLine
  }
  return `${file}:${line}  ${short(original)}  →  ${short(replacement)}`
}

function report (verdicts: Array<[Mutant, Verdict]>): void {
  const files = [...new Set(verdicts.map(([{ file }]) => file))].sort()
  const row = (name: string, of: Verdict[]) => {
    const number = (verdict: Verdict) => of.filter(each => each === verdict).length
    const share = of.length === 0 ? 100 : 100 * (1 - number('survived') / of.length)
    console.log(
      `${share.toFixed(1).padStart(5)} %  ${name}: ${number('noticed')} noticed, ` +
      `${number('timed out')} timed out, ${number('survived')} survived`
    )
  }
  for (const file of files) row(file, verdicts.filter(([mutant]) => mutant.file === file).map(([, verdict]) => verdict))
  row('in all', verdicts.map(([, verdict]) => verdict))
}

/** A random sample, the same for the same seed (mulberry32), in the order of the code. */
function sample (all: Mutant[], size: number, seed: number): Mutant[] {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const drawn = all.map(mutant => ({ mutant, lot: random() })).sort((a, b) => a.lot - b.lot).slice(0, size)
  const chosen = new Set(drawn.map(({ mutant }) => mutant))
  return all.filter(mutant => chosen.has(mutant))
}

await main()
