import type { Loop, StartLoop } from '../../../background/loop.js'
import type { JobStore } from '../../../stores/store.js'

const HOUR_MS = 3_600_000

/** Purges jobs some time after they were undeployed, once an hour, so that the store does not grow for ever. */
export function startRetention ({ jobs, hours, startLoop, log }: {
  jobs: Pick<JobStore, 'purge'>
  /** Hours for which an undeployed job is kept. */
  hours: number
  startLoop: StartLoop
  log: { info (details: object, message: string): void }
}): Loop {
  return startLoop({
    name: 'retention',
    everyMs: HOUR_MS,
    async run () {
      const purged = await jobs.purge(new Date(Date.now() - hours * HOUR_MS).toISOString())
      if (purged > 0) log.info({ purged }, 'purged jobs that were undeployed long ago')
    }
  })
}
