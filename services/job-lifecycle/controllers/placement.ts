import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Lease } from '../../../plugins/leases.js'
import type { Job, JobId } from '../../../schemas/job.js'
import type { JobChange, JobStore } from '../../../stores/store.js'
import type { PlacementDecision, Question, SchedulerClient } from '../../scheduler-client/scheduler.js'
import type { Committer } from '../commit.js'
import { placed, unplaceable, waiting } from '../state-machine/decisions/placement.js'
import { asked } from '../operations/scheduler-callback.js'

/** Jobs that one question to the scheduler holds. */
const PAGE = 256

/** Deploys that arrive together share a pass, ms. */
const GATHER_MS = 5

/** After a pass the loop rests this many times as long as it took: placing never takes over a tenth of the process. */
const REST_FACTOR = 9

export interface PlacementLoop {
  /** There may be something to place, or room where there was none. */
  wake (): void
}

/**
 * Places what is unplaced: soon after each {@link PlacementLoop.wake}, and every `retryMs` besides. One pass at a time;
 * a job that cannot be placed stays unplaced, with the reason on it, and is asked about again in the next pass.
 */
export function startPlacementLoop ({ jobs, scheduler, committer, lease, retryMs, signal, log }: {
  jobs: JobStore
  scheduler: SchedulerClient
  committer: Committer
  /** Of several System Managers, the one that holds it places. */
  lease: Lease
  retryMs: number
  signal: AbortSignal
  log: FastifyBaseLogger
}): PlacementLoop & { stopped: Promise<void> } {
  let news = false
  let endNap = () => {}

  /** Until the next wake, an abort, or `retryMs`, whichever comes first. */
  function nap (): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, retryMs).unref()
      endNap = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function pass (fence: number): Promise<void> {
    let after: JobId | undefined
    do {
      const page = await jobs.unplaced({ limit: PAGE, ...(after !== undefined && { after }) })
      if (page.length === 0) return
      const decisions = await scheduler.place(page)
      const changes = page.map((job, index) => toChange(job, decisions[index])).filter(change => change !== undefined)
      await committer.commit(changes, fence)
      for (const decision of decisions) if (decision.kind === 'asked') decision.send?.()
      after = page.length === PAGE ? page.at(-1)?.id : undefined
      // Requests that came in meanwhile go first.
      await sleep(0)
    } while (after !== undefined && !signal.aborted)
  }

  async function run (): Promise<void> {
    while (!signal.aborted) {
      const fence = await lease.held(signal)
      if (!news) await nap()
      await sleep(GATHER_MS, undefined, { signal, ref: false })
      news = false
      const began = performance.now()
      try {
        await pass(fence)
      } catch (err) {
        log.error({ err }, 'placing failed, it is tried again')
      }
      await sleep((performance.now() - began) * REST_FACTOR, undefined, { signal, ref: false })
    }
  }

  signal.addEventListener('abort', () => endNap(), { once: true })

  return {
    wake () {
      news = true
      endNap()
    },
    stopped: run().catch(err => {
      if (!signal.aborted) log.fatal({ err }, 'the placement loop ended')
    })
  }
}

function toChange (job: Job, decision: PlacementDecision | Question | undefined): JobChange | undefined {
  switch (decision?.kind) {
    case 'placed':
      return placed(job, decision, 'scheduler')
    case 'unplaceable':
      return unplaceable(job, decision.failure, decision.explanation, 'scheduler')
    case 'waiting':
      return waiting(job, decision.explanation, 'scheduler')
    case 'asked':
      return asked(job, decision.explanation, 'scheduler')
  }
  return undefined
}
