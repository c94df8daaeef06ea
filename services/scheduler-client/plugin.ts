import { setImmediate } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { createPass } from './embedded/place.js'
import type { SchedulerClient } from './scheduler.js'

declare module 'fastify' {
  interface FastifyInstance { schedulerClient: SchedulerClient }
}

const NOTHING = { cpu: 0, memory: 0 }

/** Milliseconds of deciding after which requests get their turn: with ten thousand clusters a page of jobs takes longer. */
const TURN_MS = 10

export default fp(async function schedulerClient (app) {
  app.decorate('schedulerClient', {
    async place (jobs) {
      const [clusters, reserved] = await Promise.all([app.store.clusters.list({}), app.store.jobs.reserved()])
      const candidates = clusters.map(cluster => ({ cluster, reserved: reserved.get(cluster.id) ?? NOTHING }))
      const pass = createPass(candidates, { now: Date.now(), graceMs: app.config.CLUSTER_GRACE_S * 1000 })
      const decisions = []
      let turnBegan = performance.now()
      for (const job of jobs) {
        decisions.push(pass.decide(job))
        if (performance.now() - turnBegan < TURN_MS) continue
        await setImmediate()
        turnBegan = performance.now()
      }
      return decisions
    }
  })
}, { name: 'scheduler-client', dependencies: ['config', 'store'] })
