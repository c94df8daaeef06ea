import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** The name of this process among all on the same database: holder of leases and of channels. */
    holder: string
  }
}

/** Milliseconds after which the others know that a process is gone. */
const TTL_MS = 10_000
const RENEW_MS = 3000

/** Tells the others on the same database that this process lives, by the lease `process/<holder>`, until it closes. */
export default fp(async function holder (app) {
  const holder = randomUUID()
  const name = `process/${holder}`
  const closing = new AbortController()
  const { leases } = app.store
  app.decorate('holder', holder)

  async function run (): Promise<void> {
    while (!closing.signal.aborted) {
      await leases.acquire(name, holder, TTL_MS).catch(err => app.log.warn({ err }, 'the database does not take a sign of life of this process'))
      await sleep(RENEW_MS, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }
  const stopped = run()

  app.addHook('onClose', async () => {
    closing.abort()
    await stopped
    await leases.release(name, holder).catch(err => app.log.warn({ err }, 'the database was not told that this process ends'))
  })
}, { name: 'holder', dependencies: ['store'] })
