import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

const TARGET = join(import.meta.dirname, 'target')

/**
 * Starts an emulator of the MongoDB wire protocol, which is not MongoDB (docs/database.md), ended when the test ends.
 * It costs half a second: tests share one where they can.
 * @param options.changeStreams Lets collections be watched.
 * @returns mongodb://127.0.0.1:port
 */
export async function startEmulator (
  t: Test,
  { changeStreams = false }: { changeStreams?: boolean } = {}
): Promise<string> {
  if (!existsSync(join(TARGET, '.built'))) {
    throw new Error(`${TARGET} is not built: ./run-tests.sh does it, with Maven and a JDK 17 or newer`)
  }
  const args = [
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-cp',
    `${join(TARGET, 'classes')}:${join(TARGET, 'dependency')}/*`,
    'Emulator'
  ]
  const child = spawn('java', args, {
    env: { PATH: process.env.PATH, ...(changeStreams && { CHANGE_STREAMS: '1' }) },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>,
    ended.then(([code]) => {
      throw new Error(`the emulator ended with ${code}`)
    })
  ])
  return `mongodb://127.0.0.1:${line.replace('port ', '')}`
}
