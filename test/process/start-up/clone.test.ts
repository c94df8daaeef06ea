import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, statSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { run } from './tiny-project.js'

const ROOT = join(import.meta.dirname, '../../..')

/** What a clone would hold, with the installed packages hard-linked instead of downloaded again. */
function clone (folder: string): string {
  const copy = join(folder, 'a clone')
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  for (const file of files.split('\0')) {
    // A file may be deleted and the deletion not committed yet.
    if (file === '' || !existsSync(join(ROOT, file))) continue
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(ROOT, file), join(copy, file), { preserveTimestamps: true })
  }
  execFileSync('cp', ['-al', join(ROOT, 'node_modules'), join(copy, 'node_modules')])
  // Not to be linked: its time is changed here.
  const record = join(copy, 'node_modules/.package-lock.json')
  execFileSync('cp', ['--remove-destination', join(ROOT, 'node_modules/.package-lock.json'), record])
  utimesSync(record, new Date(), new Date())
  return copy
}

t.test('in a clone --help builds and lists the settings; a second time it is only printed', async t => {
  const copy = clone(t.testdir())
  const script = join(copy, 'start-up.sh')
  const first = await run(script, ['--help'], { cwd: '/' })
  t.equal(first.code, 0, first.stderr)
  t.match(first.stdout, /MY_PORT .*\(default: 10000\)/)
  t.match(first.stdout, /^Usage: \.\/start-up\.sh .*\n.*\.\/start-up\.sh --demo /)
  t.match(first.stderr, /building/)
  const built = statSync(join(copy, 'dist/.built')).mtimeMs

  const second = await run(script, ['--help'])
  t.strictSame(second, { code: 0, stdout: first.stdout, stderr: '' })
  t.equal(statSync(join(copy, 'dist/.built')).mtimeMs, built)
  t.strictSame(await run(script, ['--demo', '--help']), second, 'it is the help of the server, in the demo too')
})
