import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { JobStore } from '../../../stores/store.js'

const HOUR_MS = 3_600_000

/** Forgets jobs some time after they were undeployed, looking once an hour: the store must not grow for ever. */
export function startRetention (
  { jobs, hours, signal, log }: { jobs: JobStore, hours: number, signal: AbortSignal, log: FastifyBaseLogger }
): { stopped: Promise<void> } {
  async function run (): Promise<void> {
    while (!signal.aborted) {
      try {
        const forgotten = await jobs.purge(new Date(Date.now() - hours * HOUR_MS).toISOString())
        if (forgotten > 0) log.info({ forgotten }, 'forgot jobs that were undeployed long ago')
      } catch (err) {
        log.error({ err }, 'could not forget old jobs, it is tried again')
      }
      await sleep(HOUR_MS, undefined, { signal, ref: false })
    }
  }
  return {
    stopped: run().catch(err => {
      if (!signal.aborted) log.fatal({ err }, 'the retention loop ended')
    })
  }
}
