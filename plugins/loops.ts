import fp from 'fastify-plugin'
import { startLoop, type Loop, type StartLoop } from '../background/loop.js'

declare module 'fastify' {
  interface FastifyInstance {
    loops: Loops
  }
}

/** The background loops of this server. The plugin that starts a loop stops it in `onClose`. */
export interface Loops {
  start: StartLoop
  /** All loops that were started, for /healthz. */
  all (): readonly Loop[]
}

/**
 * Starts and supervises every background loop. If one dies, the process ends: a System Manager that does only half of
 * its work would look healthy.
 */
export default fp(async function loops (app) {
  const all: Loop[] = []
  app.decorate('loops', {
    start (options) {
      const loop = startLoop({ ...options, log: app.log })
      all.push(loop)
      loop.ended.catch((err: unknown) => {
        app.log.fatal({ err, loop: options.name }, 'a loop died, the process ends')
        // An uncaught error: the server closes and the process ends (server.ts).
        setImmediate(() => {
          throw err
        })
      })
      return loop
    },
    all: () => all
  })
}, { name: 'loops' })
