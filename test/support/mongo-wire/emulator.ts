import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { suspend } from '../suspend.js'

const TARGET = join(import.meta.dirname, 'target')

/** A running emulator of the MongoDB wire protocol. It is not MongoDB (docs/database.md). */
export interface Emulator {
  port: number
  /** mongodb://127.0.0.1:port */
  uri: string
  /** Sends it a signal; resolves once it has ended, or stands still for SIGSTOP, or at once for SIGCONT. */
  signal (signal: NodeJS.Signals): Promise<void>
}

/**
 * Starts an emulator of its own, ended when the test ends. It costs half a second: tests that need no failures share one.
 * @param options.file Keeps the data in this file instead of memory, for tests of restarts.
 * @param options.port A port that is known to be free, else any.
 * @param options.changeStreams Lets collections be watched.
 */
export async function startEmulator (t: Test, { file, port = 0, changeStreams = false }: { file?: string, port?: number, changeStreams?: boolean } = {}): Promise<Emulator> {
  if (!existsSync(join(TARGET, '.built'))) throw new Error('test/support/mongo-wire is not built: ./run-tests.sh does it, with Maven and a JDK 17 or newer')
  const args = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', `${join(TARGET, 'classes')}:${join(TARGET, 'dependency')}/*`, 'Emulator', String(port), ...(file === undefined ? [] : [file])]
  const child = spawn('java', args, { env: { PATH: process.env.PATH, ...(changeStreams && { CHANGE_STREAMS: '1' }) }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>,
    ended.then(([code]) => { throw new Error(`the emulator ended with ${code}`) })
  ])
  const bound = Number(line.replace('port ', ''))
  return {
    port: bound,
    uri: `mongodb://127.0.0.1:${bound}`,
    async signal (signal) {
      if (signal === 'SIGSTOP') return await suspend(child.pid!)
      child.kill(signal)
      if (signal !== 'SIGCONT') await ended
    }
  }
}
