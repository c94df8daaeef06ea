import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'
import type { Store } from '../../../stores/store.js'
import type { PlacementDecision, SchedulerClient } from '../scheduler.js'
import { createPass } from './placement-pass.js'

const NOTHING = { cpu: 0, memory: 0 }

/**
 * Milliseconds of deciding after which requests get their turn: with ten thousand clusters a page of jobs takes longer.
 */
const TURN_MS = 10

/** What instances on their way to clusters ask for. */
type Reserved = ReadonlyMap<ClusterId, { cpu: number, memory: number }>

/** A scheduler that decides at once, by the figures in the store. */
export interface EmbeddedScheduler extends SchedulerClient {
  /**
   * @param more What is reserved beside what the store knows, below zero where it is less: for changes that are not
   * made yet.
   */
  place (jobs: Job[], more?: Reserved): Promise<PlacementDecision[]>
}

/** @param graceMs Milliseconds of silence after which a cluster is inactive. */
export function createEmbeddedScheduler (
  { clusters, jobs: jobStore }: Pick<Store, 'clusters' | 'jobs'>,
  graceMs: number
): EmbeddedScheduler {
  return {
    events: new EventEmitter(),

    async place (jobs, more) {
      const [known, reserved] = await Promise.all([clusters.list({}), jobStore.reserved()])
      const candidates = known.map(cluster => {
        const { cpu, memory } = reserved.get(cluster.id) ?? NOTHING
        const added = more?.get(cluster.id) ?? NOTHING
        return { cluster, reserved: { cpu: cpu + added.cpu, memory: memory + added.memory } }
      })
      const pass = createPass(candidates, { now: Date.now(), graceMs })
      const decisions = []
      let turnBegan = performance.now()
      for (const job of jobs) {
        decisions.push(pass.decide(job))
        if (performance.now() - turnBegan < TURN_MS) continue
        await setImmediate()
        turnBegan = performance.now()
      }
      return decisions
    },

    // It never calls back: what it decides is in the answer to place.
    answered () {},

    test: async () => 'the embedded scheduler answers'
  }
}
