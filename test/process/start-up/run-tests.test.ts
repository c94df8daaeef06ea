import { cpSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { run, tinyProject } from './tiny-project.js'

const ROOT = join(import.meta.dirname, '../../..')

/** A project whose test runner prints REPORT and ends with CODE. */
function projectWithRunner (folder: string): string {
  const project = tinyProject(folder, {
    'dependency/package.json': JSON.stringify({ name: 'dependency', version: '1.0.0', bin: { tap: 'tap.js' } }),
    'dependency/tap.js': `#!/usr/bin/env node
      const { REPORT, CODE, CI } = process.env
      process.stdout.write(REPORT + 'CI=' + CI + ' ' + process.argv.slice(2).join(' ') + '\\n')
      process.exitCode = Number(CODE)`
  })
  edit(join(project, 'package.json'), manifest => Object.assign(manifest.scripts, { typecheck: 'true', lint: 'true' }))
  edit(join(project, 'package-lock.json'), lock => Object.assign(lock.packages.dependency, { bin: { tap: 'tap.js' } }))
  cpSync(join(ROOT, 'run-tests.sh'), join(project, 'run-tests.sh'))
  // The emulator and the Python clients are there already.
  for (const [source, built] of [['test/support/mongo-wire/pom.xml', 'test/support/mongo-wire/target/.built'], ['test/service/socket-io/python/requirements-x.txt', '.python/.installed']] as const) {
    for (const file of [source, built]) {
      mkdirSync(dirname(join(project, file)), { recursive: true })
      writeFileSync(join(project, file), '')
    }
    utimesSync(join(project, source), 0, 0)
  }
  mkdirSync(join(project, 'test/support/mongo-wire/src'))
  utimesSync(join(project, 'test/support/mongo-wire/src'), 0, 0)
  return join(project, 'run-tests.sh')
}

function edit (file: string, change: (content: any) => void): void {
  const content = JSON.parse(readFileSync(file, 'utf8'))
  change(content)
  writeFileSync(file, JSON.stringify(content))
}

const lastLine = (stdout: string) => stdout.trimEnd().split('\n').at(-1)

const runs: Array<[what: string, report: string, code: number, last: string]> = [
  ['that passes', '\x1b[?25hAsserts: 3 pass\n# { total: 3, pass: 3 }\n# time=1ms\n', 0, '3 passed, 0 failed'],
  ['with a failure', '# { total: 3, pass: 2, fail: 1 }\n', 1, '2 passed, 1 failed'],
  ['with skipped tests', '# { total: 3, pass: 1, fail: 1, skip: 1 }\n', 1, '1 passed, 1 failed'],
  ['that broke without a failure', '# { total: 3, pass: 3 }\n', 7, '3 passed, 1 failed'],
  ['that said nothing', '', 1, '0 passed, 1 failed']
]

t.test('a run ends with its counts, and its exit code', async t => {
  const script = projectWithRunner(t.testdir())
  for (const [what, report, code, last] of runs) {
    const ended = await run(script, ['test/one.test.ts'], { cwd: '/', env: { REPORT: report, CODE: String(code) } })
    t.equal(lastLine(ended.stdout), last, `${what}: ${ended.stderr}`)
    t.equal(ended.code, code, what)
    t.notMatch(ended.stdout, '\x1b', 'nothing for a terminal is in it')
    t.match(ended.stdout, /^CI=true --reporter=terse test\/one\.test\.ts$/m)
  }
})

t.test('a run that cannot begin counts as one failure', async t => {
  const script = projectWithRunner(t.testdir())
  edit(join(script, '../package.json'), manifest => Object.assign(manifest.scripts, { lint: 'echo no semicolons; false' }))
  const ended = await run(script, [], { env: { REPORT: '# { total: 1, pass: 1 }\n', CODE: '0' } })
  t.equal(ended.code, 1)
  t.equal(ended.stdout, 'no semicolons\n0 passed, 1 failed\n')
})
