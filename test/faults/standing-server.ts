import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'
import type { Test } from 'tap'
import { spawnProgram } from '../support/program.js'
import { SERVER, startServerProcess, type ServerProcess } from '../support/server-process.js'

/** A server that is killed and started again at the same address, as a supervisor does it. */
export interface StandingServer {
  url: string
  readonly process: ServerProcess
  kill(): Promise<void>
  /** Starts it and kills it after so many milliseconds, wherever its start is by then. */
  startAndKill(afterMs: number): Promise<void>
  start(): Promise<void>
}

/** @param env Has to say MY_PORT. */
export async function startStandingServer (
  t: Test,
  env: Record<string, string> & { MY_PORT: string }
): Promise<StandingServer> {
  let process = await startServerProcess(t, env)
  return {
    url: process.url,
    get process () {
      return process
    },
    async kill () {
      await process.end('SIGKILL')
    },
    async startAndKill (afterMs) {
      const child = spawnProgram(SERVER, [], { MY_HOST: '127.0.0.1', ...env })
      const exited = once(child, 'exit')
      for (const stream of [child.stdout, child.stderr]) stream.resume()
      await sleep(afterMs)
      child.kill('SIGKILL')
      await exited
    },
    async start () {
      process = await startServerProcess(t, env)
    }
  }
}

/** Deadlines of seconds, except those that must not expire because of a slow machine. */
export const impatient = (awayS: number): Record<string, string> => ({
  HEARTBEAT_INTERVAL_S: '1',
  PING_INTERVAL_S: String(awayS / 10),
  CLUSTER_GRACE_S: String(Math.max(1, awayS / 2)),
  FAILOVER_AFTER_S: String(Math.max(1, awayS)),
  RECONCILE_S: '0.2',
  PLACEMENT_RETRY_S: '0.2',
  COMMAND_RESEND_S: String(awayS / 10),
  DEADLINE_MOVE_S: String(awayS),
  LOG_LEVEL: 'info'
})
