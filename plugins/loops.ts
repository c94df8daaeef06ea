import fp from 'fastify-plugin'
import { startLoop, type Loop, type StartLoop } from '../background/loop.js'

declare module 'fastify' {
  interface FastifyInstance {
    loops: Loops
  }
}

/** The loops of this server. Whoever starts one stops it, in `onClose`. */
export interface Loops {
  start: StartLoop
  /** All that were started, for /healthz. */
  all (): readonly Loop[]
}

/**
 * Every background loop starts here. One that dies ends the process: a System Manager that does half of its work looks
 * healthy and is not.
 */
export default fp(async function loops (app) {
  const all: Loop[] = []
  app.decorate('loops', {
    start (options) {
      const loop = startLoop({ ...options, log: app.log })
      all.push(loop)
      loop.ended.catch((err: unknown) => {
        app.log.fatal({ err, loop: options.name }, 'a loop died, the process ends')
        // Nobody catches this: the process closes what it can and ends (server.ts).
        setImmediate(() => {
          throw err
        })
      })
      return loop
    },
    all: () => all
  })
}, { name: 'loops' })
