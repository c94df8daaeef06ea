import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { SERVER } from '../../support/server-process.js'
import { patience } from '../../support/waiting.js'
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
  for (const tool of ['dirname', 'readlink', 'grep', 'env', 'bash']) {
    writeFileSync(join(bin, tool), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${tool} "$@"\n`, { mode: 0o755 })
  }
  const missing = await run('/bin/bash', [script], { env: { PATH: bin } })
  t.match(missing, { code: 1, stderr: /Node\.js 20\.19 or newer.* not found/ })

  for (const [version, fits] of [['18.20.4', false], ['20.18.3', false], ['20.19.0', true], ['22.1.0', true]] as const) {
    writeFileSync(join(bin, 'node'), `#!/bin/sh\necho ${version}\n`)
    writeFileSync(join(bin, 'npm'), '#!/bin/sh\necho npm was called, code E404; exit 1\n')
    chmodSync(join(bin, 'node'), 0o755)
    chmodSync(join(bin, 'npm'), 0o755)
    const { code, stderr } = await run('/bin/bash', [script], { env: { PATH: bin } })
    t.equal(code, 1)
    t.match(stderr, fits ? /npm was called/ : `20.19 or newer is needed; this is ${version}`)
  }
})

/** A tiny project with a package that only a registry has. */
function needsRegistry (folder: string): string {
  const dependencies = { other: '1.0.0' }
  const root = { name: 'tiny', version: '1.0.0', dependencies }
  return tinyProject(folder, {
    'package.json': JSON.stringify({ ...root, type: 'module' }),
    'package-lock.json': JSON.stringify({
      name: 'tiny',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': root, 'node_modules/other': { version: '1.0.0' } }
    })
  })
}

/** A registry at a port where nobody listens, and one that takes connections and never answers. */
async function deadRegistries (t: Test): Promise<string[]> {
  const silent = createServer()
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  return ['http://127.0.0.1:9', `http://127.0.0.1:${(silent.address() as AddressInfo).port}`]
}

t.test('without a network the first start says so within 20 s, and what to set', async t => {
  const folder = t.testdir()
  const script = join(needsRegistry(folder), 'start-up.sh')
  for (const registry of await deadRegistries(t)) {
    const began = performance.now()
    const env = { npm_config_registry: registry, npm_config_cache: join(folder, 'cache') }
    const { code, stdout, stderr } = await run(script, [], { env })
    t.ok(performance.now() - began < patience(20_000), `after ${Math.round(performance.now() - began)} ms`)
    t.match({ code, stdout }, { code: 1, stdout: '' })
    t.match(stderr, `the package registry ${registry} cannot be reached`)
    for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'npm_config_registry']) t.match(stderr, name)
    t.match(stderr, "npm's cache has not all packages")
  }
})

t.test('without a network a start installs what the cache of npm has, and a later one asks for none', async t => {
  const folder = t.testdir()
  const script = join(tinyProject(folder), 'start-up.sh')
  const env = { npm_config_registry: 'http://127.0.0.1:9', npm_config_cache: join(folder, 'cache') }
  t.match(await run(script, [], { env }), { code: 0, stdout: 'server \n', stderr: /cannot be reached/ })
  t.strictSame(await run(script, [], { env }), { code: 0, stdout: 'server \n', stderr: '' })
})

t.test('a registry that refuses is told by npm', async t => {
  const registry = createServer((_request, response) => response.writeHead(404).end())
  registry.listen(0, '127.0.0.1')
  await once(registry, 'listening')
  t.teardown(() => registry.close())
  const folder = t.testdir()
  const { port } = registry.address() as AddressInfo
  const env = { npm_config_registry: `http://127.0.0.1:${port}`, npm_config_cache: join(folder, 'cache') }
  const { code, stderr } = await run(join(needsRegistry(folder), 'start-up.sh'), [], { env })
  t.equal(code, 1)
  t.match(stderr, /code E404[\s\S]*this failed: npm ci/)
})

t.test('a symlink starts the same, from any folder, and so does a symlink to it', async t => {
  const folder = t.testdir()
  const project = tinyProject(folder)
  mkdirSync(join(folder, 'bin'))
  symlinkSync(join(project, 'start-up.sh'), join(folder, 'bin/absolute'))
  symlinkSync('../a project/start-up.sh', join(folder, 'bin/relative'))
  symlinkSync('bin/relative', join(folder, 'again'))
  for (const link of ['bin/absolute', 'bin/relative', 'again']) {
    t.match(await run(join(folder, link), ['x'], { cwd: '/' }), { code: 0, stdout: 'server x\n' }, link)
    t.match(await run(`./${link}`, ['x'], { cwd: folder }), { code: 0, stdout: 'server x\n' }, link)
  }
})

t.test('the help tells the demo, before anything is installed, and a reader may have enough of it', async t => {
  const folder = t.testdir()
  const script = join(needsRegistry(folder), 'start-up.sh')
  const env = { npm_config_registry: 'http://127.0.0.1:9', npm_config_cache: join(folder, 'cache') }
  t.match((await run(script, ['--help'], { env })).stdout, /^Usage: .*\n.*start-up\.sh --demo/)
  const server = fileURLToPath(SERVER)
  // Nobody reads what it prints.
  const closed = 'set -o pipefail; (sleep 0.5; exec "$0" "$1" --help) | exec 0<&-'
  t.strictSame(await run('bash', ['-c', closed, process.execPath, server]), { code: 0, stdout: '', stderr: '' })
})
