import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { freePort } from './start-up/free-port.js'

/** Without Docker: the stages of the Dockerfile by hand, with npm ci replaced by links to what is installed here. */

const ROOT = join(import.meta.dirname, '../..')
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replaceAll(/\\\n\s*/g, '')
const stages = dockerfile.split(/^FROM /m).slice(1)
const [build = '', dependencies = '', image = ''] = stages

/** Arguments of an instruction, for each time that it stands in a stage. */
const all = (stage: string, instruction: string) => [...stage.matchAll(new RegExp(`^${instruction} (.+)$`, 'gm'))].map(([, rest = '']) => rest)

/** What is run, which is written in JSON: `CMD ["node", …]`. */
const command = (text = '') => JSON.parse(text.slice(text.indexOf('['))) as string[]

/** What `COPY . .` brings, since .dockerignore is written so that git reads it in the same way. */
function copyContext (target: string): void {
  const list = (...which: string[]) => execFileSync('git', ['ls-files', '-z', ...which], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(file => existsSync(join(ROOT, file)) && file !== '')
  const ignored = new Set(list('--cached', '--ignored', '--exclude-from=.dockerignore'))
  for (const file of [...list('--cached'), ...list('--others', '--exclude-standard', '--exclude-from=.dockerignore')]) {
    if (ignored.has(file)) continue
    mkdirSync(dirname(join(target, file)), { recursive: true })
    cpSync(join(ROOT, file), join(target, file))
  }
}

/** What `npm ci --omit=dev` installs. */
function linkDependencies (target: string): void {
  const folders = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').slice(1)
  // Packages within a package come with it.
  const outer = folders.map(folder => relative(ROOT, folder)).filter(folder => folder.lastIndexOf('node_modules') === 0)
  execFileSync('cp', ['-al', '--parents', ...outer, target], { cwd: ROOT })
}

t.test('the image holds all that the server needs: not as root, in a folder that cannot be written, as process 1 would', async t => {
  // Where a user without rights may read, which the folder of the project need not be.
  const folder = mkdtempSync(join(tmpdir(), 'system-manager-image-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [context, dependenciesApp, app, data] = ['context', 'dependencies', 'app', 'data'].map(name => join(folder, name)) as [string, string, string, string]

  t.same(all(build, 'COPY'), ['package.json package-lock.json ./', '. .'])
  t.same(all(build, 'RUN'), ['npm ci --no-audit --no-fund', 'npm run build'])
  copyContext(context)
  for (const left of ['test', 'bench', 'docs', '.git', 'node_modules', 'README.md']) t.notOk(readdirSync(context).includes(left), `${left} stays out`)
  symlinkSync(join(ROOT, 'node_modules'), join(context, 'node_modules'))
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: context })

  t.same(all(dependencies, 'COPY'), ['package.json package-lock.json ./'])
  t.match(all(dependencies, 'RUN'), [/^npm ci --omit=dev /])
  mkdirSync(dependenciesApp)
  linkDependencies(dependenciesApp)

  mkdirSync(app)
  for (const copy of all(image, 'COPY')) {
    const [, stage, rest = ''] = /^(?:--from=(\w+) )?(.+)$/.exec(copy)!
    const sources = rest.split(' ')
    const target = sources.pop()!
    const from = stage === 'dependencies' ? dependenciesApp : context
    for (const source of sources) {
      const path = join(from, source.replace(/^\/app\//, ''))
      const into = target.endsWith('/') ? join(app, target, source) : join(app, target)
      execFileSync('cp', ['-al', path, into])
    }
  }
  mkdirSync(data)
  chmodSync(folder, 0o755)
  chmodSync(app, 0o555)
  const user = Number(all(image, 'USER')[0]?.split(':')[0])
  t.ok(user > 0)
  const identity = process.getuid?.() === 0 ? { uid: user, gid: user } : {}
  if (identity.uid) chownSync(data, user, user)

  const port = await freePort()
  const env = { PATH: process.env.PATH, MY_PORT: port, DATA_DIR: data, NODE_ENV: 'production' }
  const [program, ...parameters] = command(all(image, 'CMD')[0])
  // The test runner adds options to every process, with which that would write into the folder of the project.
  const bare = ['-u', 'NODE_OPTIONS', process.execPath]
  const server = spawn('env', [...bare, ...parameters], { cwd: app, env, ...identity, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => server.kill('SIGKILL'))
  t.equal(program, 'node')
  const exited = once(server, 'exit') as Promise<[number | null]>
  await Promise.race([exited, new Promise<void>(resolve => createInterface({ input: server.stdout }).on('line', line => {
    if (line.includes('Server listening')) resolve()
  }))])

  const [, ...check] = command(all(image, 'HEALTHCHECK')[0])
  const healthy = async () => (await once(spawn('env', [...bare, ...check], { env, ...identity }), 'exit'))[0] as number
  t.equal(await healthy(), 0)
  t.match(await (await fetch(`http://localhost:${port}/docs/static/swagger-ui.css`)).text(), '.swagger-ui', 'files that packages carry are there')
  server.kill('SIGTERM')
  t.equal((await exited)[0], 0)
  t.equal(await healthy(), 1)
})
