import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { run, tinyProject } from './tiny-project.js'

const ROOT = join(import.meta.dirname, '../../..')

/** A project in which all that run-tests.sh prepares is there already. */
function projectWithTests (folder: string, files: Record<string, string> = {}): string {
  const project = tinyProject(folder, files)
  edit(join(project, 'package.json'), manifest => Object.assign(manifest.scripts, { typecheck: 'true', lint: 'true' }))
  cpSync(join(ROOT, 'run-tests.sh'), join(project, 'run-tests.sh'))
  // The emulator and the Python clients.
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

/** Its runner prints REPORT and ends with CODE; its reporter prints what it gets. */
function projectWithRunner (folder: string): string {
  const script = projectWithTests(folder, {
    'dependency/package.json': JSON.stringify({ name: 'dependency', version: '1.0.0', bin: { tap: 'tap.js' } }),
    'dependency/tap.js': `#!/usr/bin/env node
      process.stdout.write('CI=' + process.env.CI + ' ' + process.argv.slice(2).join(' ') + '\\n')
      process.stdin.pipe(process.stdout)`
  })
  const project = dirname(script)
  writeFileSync(join(project, 'scripts/run-tests.js'), `
    const { REPORT, CODE } = process.env
    process.stdout.write(REPORT + 'ran ' + process.argv.slice(2).join(' ') + '\\n')
    process.exitCode = Number(CODE)`)
  edit(join(project, 'package-lock.json'), lock => Object.assign(lock.packages.dependency, { bin: { tap: 'tap.js' } }))
  return script
}

function edit (file: string, change: (content: any) => void): void {
  const content = JSON.parse(readFileSync(file, 'utf8'))
  change(content)
  writeFileSync(file, JSON.stringify(content))
}

const lastLine = (stdout: string) => stdout.trimEnd().split('\n').at(-1)

const runs: Array<[what: string, report: string, code: number, last: string]> = [
  ['that passes', '\x1b[?25hok 1\n# { total: 3, pass: 3 }\n# time=1ms\n', 0, '3 passed, 0 failed'],
  ['with totals of single files in it', '    # { total: 2, pass: 1, fail: 1 }\n# { total: 3, pass: 3 }\n', 0, '3 passed, 0 failed'],
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
    t.match(ended.stdout, /^CI=true --reporter=min -$/m)
    t.match(ended.stdout, /^ran test\/one\.test\.ts$/m)
  }
})

t.test('a run that cannot begin counts as one failure', async t => {
  const script = projectWithRunner(t.testdir())
  edit(join(script, '../package.json'), manifest => Object.assign(manifest.scripts, { build: 'echo no build; false' }))
  const ended = await run(script, [], { env: { REPORT: '# { total: 1, pass: 1 }\n', CODE: '0' } })
  t.equal(ended.code, 1, ended.stderr)
  t.equal(ended.stdout, '0 passed, 1 failed\n')
  t.match(ended.stderr, 'no build')
})

t.test('failed checks are one failure beside those of the tests', async t => {
  const script = projectWithRunner(t.testdir())
  edit(join(script, '../package.json'), manifest => Object.assign(manifest.scripts, { lint: 'echo no semicolons; false' }))
  for (const [report, code, last] of [['# { total: 1, pass: 1 }\n', 0, '1 passed, 1 failed'], ['# { total: 2, pass: 1, fail: 1 }\n', 1, '1 passed, 2 failed']] as const) {
    const ended = await run(script, [], { env: { REPORT: report, CODE: String(code) } })
    t.equal(ended.code, 1)
    t.ok(ended.stdout.endsWith(`no semicolons\n${last}\n`), ended.stdout)
  }
})

t.test('a run that is interrupted leaves nothing running', async t => {
  const script = projectWithRunner(t.testdir())
  const [began, ended] = ['began', 'ended'].map(name => join(dirname(script), name)) as [string, string]
  edit(join(script, '../package.json'), manifest => Object.assign(manifest.scripts, { lint: `touch "${began}"; sleep 2; touch "${ended}"` }))
  writeFileSync(join(script, '../scripts/run-tests.js'), `
    import { existsSync } from 'node:fs'
    while (!existsSync(${JSON.stringify(began)})) await new Promise(resolve => setTimeout(resolve, 20))
    process.kill(process.ppid, 'SIGTERM')`)
  const interrupted = await run(script, [])
  t.match(interrupted, { code: 143, stdout: /\n?0 passed, 1 failed\n$/ })
  await new Promise(resolve => setTimeout(resolve, 3000))
  t.notOk(existsSync(ended))
})

t.test('checks are made again only when something has changed', async t => {
  const script = projectWithRunner(t.testdir())
  edit(join(script, '../package.json'), manifest => Object.assign(manifest.scripts, { lint: 'echo checked' }))
  const checked = async () => (await run(script, [], { env: { REPORT: '', CODE: '0' } })).stdout.includes('checked')
  t.equal(await checked(), true)
  t.equal(await checked(), false)
  writeFileSync(join(script, '../test/more.ts'), '')
  t.equal(await checked(), true)
})

t.test('the runner itself', async t => {
  const script = projectWithTests(t.testdir(), {})
  const project = dirname(script)
  // What is installed here, in place of the one small dependency.
  rmSync(join(project, 'dependency'), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'))
  utimesSync(join(project, 'package-lock.json'), 0, 0)
  const files = {
    'test/unit/one.test.ts': "import t from 'tap'\ninterface Erased {\n  one: 1\n}\n\nt.equal(2, 2 as Erased['one'] | 2)\n",
    'test/unit/two.test.ts': "import t from 'tap'\ninterface Erased {\n  one: 1\n}\n\nt.test('a sum', async t => {\n  t.equal(1 + 1, 3 as Erased['one'] | 3)\n})\n",
    'test/unit/unreadable.test.ts': "import t from 'tap'\nimport './missing.js'\nt.pass()\n",
    'test/other/exits.test.ts': "import t from 'tap'\nt.pass()\nprocess.exit(3)\n",
    'test/other/place.test.ts': "import { readFileSync } from 'node:fs'\nimport t from 'tap'\nt.match(readFileSync(import.meta.filename, 'utf8'), '.filename')\nt.ok(import.meta.url.endsWith('place.test.ts'))\nt.equal(process.env.NODE_OPTIONS, undefined)\n"
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true })
    writeFileSync(join(project, name), text)
  }
  mkdirSync(join(project, 'test/support'), { recursive: true })
  for (const file of ['together.ts', 'waiting.ts']) cpSync(join(ROOT, 'test/support', file), join(project, 'test/support', file))

  const pure = await run(script, ['test/unit'], { cwd: '/' })
  t.equal(lastLine(pure.stdout), '1 passed, 2 failed', pure.stderr)
  t.match(pure.stdout, /test\/unit\/two\.test\.ts:7/, 'the line of the source')
  t.match(pure.stdout, /unreadable\.test\.js cannot be loaded/)
  t.equal(pure.code, 1)

  t.equal(lastLine((await run(script, ['./test/other/place'])).stdout), '3 passed, 0 failed')
  t.equal(lastLine((await run(script, ['test/other/exits.test.ts'])).stdout), '1 passed, 1 failed', 'an exit code is a failure')
  const nothing = await run(script, ['test/unit', 'test/nowhere'])
  t.match(nothing.stderr, 'there is no test at test/nowhere')
  t.equal(lastLine(nothing.stdout), '0 passed, 1 failed')

  rmSync(join(project, 'test/unit/two.test.ts'))
  rmSync(join(project, 'test/unit/unreadable.test.ts'))
  const rest = await run(script, ['test/unit'])
  t.equal(lastLine(rest.stdout), '1 passed, 0 failed', 'what was removed is not run any more')
  t.equal(rest.code, 0)
})
