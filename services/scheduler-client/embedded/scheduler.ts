import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { ClusterId } from '../../../schemas/cluster.js'
import { hostPortsOf, type Resources } from '../../../schemas/job-facts.js'
import type { Job } from '../../../schemas/job.js'
import type { Store } from '../../../stores/store.js'
import type { Liveness } from '../../cluster-registry/liveness.js'
import type { PlacementDecision, SchedulerClient } from '../scheduler.js'
import { createPass } from './placement-pass.js'

const NOTHING: Resources = { cpu: 0, memory: 0 }

/**
 * Milliseconds of deciding after which requests get their turn: with ten thousand clusters a page of jobs takes longer.
 */
const TURN_MS = 10

/** A scheduler that decides at once, by the figures in the store. */
export interface EmbeddedScheduler extends SchedulerClient {
  /**
   * @param more Per cluster, what is reserved beyond what the store knows, negative where it is less: for changes that
   *   are not stored yet.
   */
  place (jobs: Job[], more?: ReadonlyMap<ClusterId, Resources>): Promise<Array<PlacementDecision | undefined>>
}

interface EmbeddedSchedulerOptions {
  store: Pick<Store, 'clusters' | 'jobs'>
  liveness: Pick<Liveness, 'silence'>
  /** Milliseconds of silence after which a cluster is inactive. */
  graceMs: number
  log: Pick<FastifyBaseLogger, 'error'>
}

export function createEmbeddedScheduler (
  { store: { clusters, jobs: jobStore }, liveness, graceMs, log }: EmbeddedSchedulerOptions
): EmbeddedScheduler {
  return {
    events: new EventEmitter(),

    async place (jobs, more) {
      const [known, reserved] = await Promise.all([clusters.placementViews(), jobStore.reserved()])
      const candidates = known.map(cluster => {
        const { cpu, memory } = reserved.get(cluster.id) ?? NOTHING
        const added = more?.get(cluster.id) ?? NOTHING
        const silentMs = liveness.silence(cluster)
        return { cluster, silentMs, reserved: { cpu: cpu + added.cpu, memory: memory + added.memory } }
      })
      const takesPorts = jobs.some(({ descriptor }) => hostPortsOf(descriptor).length > 0)
      const hostPorts = takesPorts ? await jobStore.hostPorts() : []
      const pass = createPass(candidates, { now: Date.now(), graceMs, hostPorts })
      const decisions: Array<PlacementDecision | undefined> = []
      let turnBegan = performance.now()
      for (const job of jobs) {
        try {
          decisions.push(pass.decide(job))
        } catch (err) {
          log.error({ err, job_id: job.id }, 'no decision about a job is possible, it stays as it is')
          decisions.push(undefined)
        }
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
