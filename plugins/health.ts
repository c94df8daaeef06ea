import { constants } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import type { Readiness } from '../schemas/health.js'

declare module 'fastify' {
  interface FastifyInstance {
    health: Health
  }
}

/** Liveness and readiness of this server. */
export interface Health {
  /** The loop that hangs and for how long, one sentence; undefined if none does. Depends on no other system. */
  stuck (): string | undefined
  /** Adds a check of another plugin. */
  add (name: string, check: Check): void
  /** Runs all checks, at most {@link CHECK_MS} each. Never rejects. */
  readiness (): Promise<Readiness>
}

/** Milliseconds that one check may take. */
const CHECK_MS = 2000

/** Stored documents that a check names. */
const MAX_NAMED = 20

/** Least free space in bytes: below this, the embedded database is about to fail writes. */
const LEAST_FREE_BYTES = 16 * 1024 * 1024

/** One check. Resolves with a sentence; rejects with an error whose message says what is wrong. */
type Check = () => Promise<string>

export default fp(async function health (app) {
  const { config, loops, leases, store } = app
  const stuckMs = config.LOOP_STUCK_S * 1000

  function stuck (): string | undefined {
    const hanging = loops.all().find(loop => loop.busyMs() > stuckMs)
    return hanging && `${hanging.name} has been in one turn for ${Math.round(hanging.busyMs() / 1000)} s`
  }

  const checks: Record<string, Check> = {
    async store () {
      await store.check()
      return 'the database answers'
    },

    async documents () {
      const found = store.unreadable()
      if (found.length === 0) return 'every stored document that was read is understood'
      const more = found.length > MAX_NAMED ? ` and ${found.length - MAX_NAMED} more` : ''
      return `cannot be understood, and affects itself only: ${found.slice(0, MAX_NAMED).join(', ')}${more}`
    },

    async loops () {
      const why = stuck()
      if (why !== undefined) throw new Error(why)
      return `${loops.all().length} loops run`
    },

    async leadership () {
      // The process lease shows that this process is alive, not that it leads.
      const campaigns = leases.campaigns().filter(({ lease }) => lease !== leases.processLease)
      const unanswered = campaigns.filter(({ lease }) => lease.answeredSince === undefined).map(({ name }) => name)
      if (unanswered.length > 0) throw new Error(`the store has not answered who leads: ${unanswered.join(', ')}`)
      const names = (leads: boolean) =>
        campaigns.filter(({ lease }) => (lease.token !== undefined) === leads).map(({ name }) => name).join(', ')
      const [leading, following] = [names(true), names(false)]
      return [leading && `leads: ${leading}`, following && `stands by: ${following}`].filter(Boolean).join('; ')
    }
  }
  if (config.MONGO_URI === '' && config.CLOUD_MONGO_URL === '') {
    checks.data_folder = async () => {
      const folder = config.DATA_DIR
      await access(folder, constants.W_OK)
      const { bavail, bsize } = await statfs(folder)
      const free = `${Math.floor(bavail * bsize / 1e6)} MB free`
      if (bavail * bsize < LEAST_FREE_BYTES) throw new Error(`${folder} has only ${free}`)
      return `${folder} is writable, ${free}`
    }
  }

  async function outcome (name: string, check: Check): Promise<Readiness['checks'][number]> {
    const patience = new AbortController()
    const late = sleep(CHECK_MS, undefined, { signal: patience.signal, ref: false }).then(() => {
      throw new Error(`no answer within ${CHECK_MS / 1000} s`)
    })
    try {
      return { name, ok: true, detail: await Promise.race([check(), late]) }
    } catch (err) {
      return { name, ok: false, detail: (err as Error).message }
    } finally {
      late.catch(() => {})
      patience.abort()
    }
  }

  app.decorate('health', {
    stuck,
    add (name, check) {
      checks[name] = check
    },
    async readiness () {
      const results = await Promise.all(Object.entries(checks).map(([name, check]) => outcome(name, check)))
      return { status: results.every(({ ok }) => ok) ? 'ready' : 'not_ready', checks: results }
    }
  })
}, { name: 'health', dependencies: ['config', 'store', 'loops', 'leases'] })
