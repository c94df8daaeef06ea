import { spawn, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { BareRoute } from './baseline.js'

export interface Running {
  url: string
  child: ChildProcess
}

/** Starts the built server on a free port, with its data in `dataDir`. */
export async function startServer (dataDir: string): Promise<Running> {
  const child = spawn(process.execPath, ['dist/server.js'], {
    env: { ...process.env, MY_PORT: '0', MY_HOST: '127.0.0.1', DATA_DIR: dataDir, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    const port = /listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (!port) continue
    // From now on its log is read, as by a log collector, and dropped.
    child.stdout.resume()
    return { url: `http://127.0.0.1:${port}`, child }
  }
  throw new Error('the server ended before it listened')
}

/** Starts a bare Fastify server that answers these routes. */
export async function startBaseline (routes: BareRoute[]): Promise<Running> {
  const child = fork(new URL('baseline.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  child.send(routes)
  const [port] = await once(child, 'message') as [number]
  return { url: `http://127.0.0.1:${port}`, child }
}
