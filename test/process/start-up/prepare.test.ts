import { chmodSync, existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run, tinyProject } from './tiny-project.js'

const INSTALLS = /installing dependencies/
const BUILDS = /building/

t.test('a first start installs and builds, a second one does neither', async t => {
  const project = tinyProject(t.testdir())
  const script = join(project, 'start-up.sh')
  const first = await run(script, ['--port', 'a b'], { cwd: '/' })
  t.match(first, { code: 0, stdout: 'server --port|a b\n' }, 'from another folder, arguments handed on as they are')
  t.match(first.stderr, INSTALLS)
  t.match(first.stderr, BUILDS)
  t.strictSame(await run(script, []), { code: 0, stdout: 'server \n', stderr: '' })
  t.strictSame(await run('bash', ['-c', '"$0" <&-', script]), { code: 0, stdout: 'server \n', stderr: '' }, 'also with stdin closed')
})

t.test('a start builds again when a source is newer or gone, and installs again when the lock file is newer', async t => {
  const project = tinyProject(t.testdir(), { 'simulator/old.ts': '' })
  const script = join(project, 'start-up.sh')
  const soon = new Date(Date.now() + 2000)
  await run(script, [])
  writeFileSync(join(project, 'server.ts'), 'console.log("newer")')
  utimesSync(join(project, 'server.ts'), soon, new Date(Date.now() + 20))
  const second = await run(script, [])
  t.equal(second.stdout, 'newer\n')
  t.match(second.stderr, BUILDS)
  t.notMatch(second.stderr, INSTALLS)

  rmSync(join(project, 'simulator/old.ts'))
  t.match((await run(script, [])).stderr, BUILDS)
  t.notOk(existsSync(join(project, 'dist/simulator/old.js')), 'what was removed is not loaded any more')

  mkdirSync(join(project, 'data'))
  mkdirSync(join(project, 'test'))
  writeFileSync(join(project, 'test/any.test.ts'), '')
  t.equal((await run(script, [])).stderr, '', 'data and tests are no sources')

  utimesSync(join(project, 'package-lock.json'), soon, new Date())
  t.match((await run(script, [])).stderr, INSTALLS)
})

t.test('npm and the build are quiet unless they fail', async t => {
  const project = tinyProject(t.testdir())
  const script = join(project, 'start-up.sh')
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'tiny', dependencies: { other: 'file:other' } }))
  const badLock = await run(script, [])
  t.equal(badLock.code, 1)
  t.match(badLock.stderr, /Missing: other[\s\S]*this failed: npm ci/, 'the lock file does not fit package.json')
  t.notOk(badLock.stdout)

  const other = tinyProject(t.testdir({ other: {} }))
  writeFileSync(join(other, 'server.ts'), '')
  rmSync(join(other, 'simulator/demo.ts'))
  const badBuild = await run(join(other, 'start-up.sh'), [])
  t.equal(badBuild.code, 1)
  t.match(badBuild.stderr, /cannot stat[\s\S]*this failed: npm run/)
  t.match((await run(join(other, 'start-up.sh'), [])).stderr, BUILDS, 'a failed build is tried again')
})

t.test('two starts at the same time prepare once', { skip: !existsSync('/usr/bin/flock') && 'flock is not installed' }, async t => {
  const script = join(tinyProject(t.testdir()), 'start-up.sh')
  const both = await Promise.all([run(script, []), run(script, [])])
  t.strictSame(both.map(({ code, stdout }) => [code, stdout]), [[0, 'server \n'], [0, 'server \n']])
  t.equal(both.filter(({ stderr }) => BUILDS.test(stderr)).length, 1)
})

t.test('a missing or too old Node.js is reported clearly', async t => {
  const folder = t.testdir()
  const script = join(tinyProject(folder), 'start-up.sh')
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const tool of ['dirname', 'env', 'bash']) writeFileSync(join(bin, tool), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${tool} "$@"\n`, { mode: 0o755 })
  const missing = await run('/bin/bash', [script], { env: { PATH: bin } })
  t.match(missing, { code: 1, stderr: /Node\.js 20\.19 or newer.* not found/ })

  for (const [version, fits] of [['18.20.4', false], ['20.18.3', false], ['20.19.0', true], ['22.1.0', true]] as const) {
    writeFileSync(join(bin, 'node'), `#!/bin/sh\necho ${version}\n`)
    writeFileSync(join(bin, 'npm'), '#!/bin/sh\necho npm was called; exit 1\n')
    chmodSync(join(bin, 'node'), 0o755)
    chmodSync(join(bin, 'npm'), 0o755)
    const { code, stderr } = await run('/bin/bash', [script], { env: { PATH: bin } })
    t.equal(code, 1)
    t.match(stderr, fits ? /npm was called/ : `20.19 or newer is needed; this is ${version}`)
  }
})
