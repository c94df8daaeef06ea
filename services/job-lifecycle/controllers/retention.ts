import type { Loop, StartLoop } from '../../../background/loop.js'
import type { JobStore } from '../../../stores/store.js'

const HOUR_MS = 3_600_000

/** Forgets jobs some time after they were undeployed, looking once an hour: the store must not grow for ever. */
export function startRetention ({ jobs, hours, startLoop, log }: {
  jobs: Pick<JobStore, 'purge'>
  /** How long an undeployed job can still be looked up. */
  hours: number
  startLoop: StartLoop
  log: { info (details: object, message: string): void }
}): Loop {
  return startLoop({
    name: 'retention',
    everyMs: HOUR_MS,
    async run () {
      const forgotten = await jobs.purge(new Date(Date.now() - hours * HOUR_MS).toISOString())
      if (forgotten > 0) log.info({ forgotten }, 'forgot jobs that were undeployed long ago')
    }
  })
}
