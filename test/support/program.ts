import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../../', import.meta.url)

/**
 * Starts a program of ours as a process of its own, in the project's folder, by the same Node.js and with the same
 * options as this one. Of our environment it gets PATH alone.
 * @param url What `import.meta.resolve` gives, so that it is the compiled file where this one is compiled.
 */
export function spawnProgram (url: string, args: string[] = [], env: Record<string, string> = {}): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [...process.execArgv, fileURLToPath(url), ...args], {
    cwd: ROOT,
    // Where the sources themselves run, autoload does not see by which loader.
    env: { PATH: process.env.PATH, FASTIFY_AUTOLOAD_TYPESCRIPT: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
}
