import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { spawnProgram } from './program.js'

const ON_ANY_PORT = { MY_PORT: '0', MY_HOST: '127.0.0.1' }

/** A System Manager in a process of its own, as an operator starts it. */
export interface ServerProcess {
  url: string
  child: ChildProcess
  /** Lines it wrote so far. */
  log: string[]
  /** Its exit code, once it has ended. */
  ended: Promise<[number | null]>
  /** Ends it with a signal and gives the exit code, null when the signal itself ended it. */
  end (signal: NodeJS.Signals): Promise<number | null>
}

/** Where the server is: the source, or what was compiled of it. */
export const SERVER = import.meta.resolve('../../server.js')

/**
 * Starts `server.ts` on a free port with these settings, and waits until it listens. It is killed when the test ends.
 * @param program Another one in its place.
 */
export async function startServerProcess (t: Test, env: Record<string, string>, program = SERVER): Promise<ServerProcess> {
  const child = spawnProgram(program, [], { ...ON_ANY_PORT, ...env })
  const exited = once(child, 'exit') as Promise<[number | null]>
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const log: string[] = []
  const lines = createInterface({ input: child.stdout })
  createInterface({ input: child.stderr }).on('line', line => log.push(line))
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', line => {
      log.push(line)
      const port = /"msg":"Server listening at http:\/\/127\.0\.0\.1:(\d+)"/.exec(line)?.[1]
      if (port) resolve(`http://127.0.0.1:${port}`)
    })
    exited.then(([code]) => reject(new Error(`the server ended with ${code}: ${log.join('\n')}`)))
  })
  return {
    url,
    child,
    log,
    ended: exited,
    async end (signal) {
      child.kill(signal)
      const [code] = await exited
      return code
    }
  }
}

/** The lines of JSON in its log, in order of time: a full pipe may have turned two of them round. */
export function logged ({ log }: ServerProcess): Array<Record<string, unknown> & { level: number, time: number, msg: string }> {
  return log.filter(line => line.startsWith('{')).map(line => JSON.parse(line)).sort((a, b) => a.time - b.time)
}

/** Starts `server.ts` and waits for its end: for starts that are to fail, and `--help`. */
export async function runServerProcess (env: Record<string, string>, args: string[] = [], program = SERVER): Promise<{ code: number | null, stdout: string, stderr: string }> {
  const child = spawnProgram(program, args, { ...ON_ANY_PORT, ...env })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', chunk => { output.stdout += String(chunk) })
  child.stderr.on('data', chunk => { output.stderr += String(chunk) })
  const [code] = await once(child, 'close') as [number | null]
  return { code, ...output }
}
