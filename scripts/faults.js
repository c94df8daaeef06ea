import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compileAll } from './compile.js'

/**
 * Runs a program of test/faults for as long as wanted, and shows its figures:
 *
 *     npm run faults -- kill --seconds 600 --seed 7
 *
 * Without a seed, chance decides; the output names it.
 */

const ROOT = join(import.meta.dirname, '..')
const PROGRAMS = readdirSync(join(ROOT, 'test/faults'))
  .flatMap(name => name.endsWith('.test.ts') ? [name.slice(0, -'.test.ts'.length)] : [])

const { values: { seconds, seed, help }, positionals: [name] } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, help: { type: 'boolean' } }
})
if (help || !PROGRAMS.includes(name) || !(Number(seconds) > 0)) {
  console.error(`npm run faults -- ${PROGRAMS.join('|')} [--seconds 60] [--seed 7]`)
  process.exit(1)
}
await compileAll()
const program = join(ROOT, '.compiled/test/faults', `${name}.test.js`)
// Without NODE_OPTIONS and limits of time: the program has its own.
const child = spawn(process.execPath, ['--enable-source-maps', program], {
  cwd: ROOT,
  stdio: 'inherit',
  env: {
    ...process.env,
    NODE_OPTIONS: '',
    TAP_TIMEOUT: '0',
    FAULTS_SECONDS: seconds,
    FAULTS_SEED: seed ?? String(Math.floor(Math.random() * 2 ** 31))
  }
})
child.on('exit', code => process.exit(code ?? 1))
