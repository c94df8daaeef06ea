import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../../..')

export interface Ended { code: number | null, stdout: string, stderr: string }

/** Runs a program to its end, without what tells tests that a runner has started them. `onOutput` is called with all of stdout so far. */
export function run (program: string, args: string[], options: {
  cwd?: string, env?: NodeJS.ProcessEnv, onOutput?: (stdout: string, child: ChildProcess) => void
} = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name)))
    const child = spawn(program, args, { cwd: options.cwd, env: { ...env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
      options.onOutput?.(stdout, child)
    })
    child.stderr.setEncoding('utf8').on('data', text => { stderr += text })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

/**
 * A project with our start-up script and next to nothing to install and build: its build copies the .ts files as .js.
 * Its one dependency is a folder of its own, so that npm needs no network.
 */
export function tinyProject (folder: string, files: Record<string, string> = {}): string {
  const project = join(folder, 'a project')
  mkdirSync(join(project, 'dependency'), { recursive: true })
  mkdirSync(join(project, 'simulator'))
  cpSync(join(ROOT, 'start-up.sh'), join(project, 'start-up.sh'))
  cpSync(join(ROOT, 'scripts'), join(project, 'scripts'), { recursive: true })
  const dependencies = { dependency: 'file:dependency' }
  const all = {
    'dependency/package.json': JSON.stringify({ name: 'dependency', version: '1.0.0' }),
    'package.json': JSON.stringify({
      name: 'tiny',
      version: '1.0.0',
      type: 'module',
      dependencies,
      scripts: { build: 'rm -rf dist && mkdir -p dist/simulator && for file in *.ts simulator/*.ts; do cp "$file" "dist/$(echo "$file" | sed s/ts$/js/)"; done' }
    }),
    'package-lock.json': JSON.stringify({
      name: 'tiny',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { name: 'tiny', version: '1.0.0', dependencies },
        dependency: { version: '1.0.0' },
        'node_modules/dependency': { resolved: 'dependency', link: true }
      }
    }),
    'server.ts': 'console.log("server", process.argv.slice(2).join("|"))',
    'simulator/demo.ts': 'console.log("demo", process.pid); setInterval(() => {}, 1000)',
    ...files
  }
  for (const [name, text] of Object.entries(all)) writeFileSync(join(project, name), text)
  return project
}

/** Whether a process of this id is there. */
export function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
