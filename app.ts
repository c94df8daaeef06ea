import { join } from 'node:path'
import autoload from '@fastify/autoload'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Config } from './plugins/config.js'
import { answerError, answerUnreadable } from './plugins/errors.js'

/** Options of the server that `app` is registered on. They cannot be set from inside a plugin. */
export const serverOptions = {
  // Larger bodies are refused before they are parsed; the largest legitimate one is a heartbeat of many thousand jobs.
  bodyLimit: 8 * 1024 * 1024,
  routerOptions: { maxParamLength: 300 },
  requestIdHeader: 'x-request-id',
  // A client that stops in the middle of its request must not hold a connection for ever.
  requestTimeout: 60_000,
  clientErrorHandler: answerUnreadable,
  frameworkErrors: (err, request, reply) => answerError(err, request, reply),
  forceCloseConnections: 'idle',
  // A start may have to wait for its database: MONGO_WAIT_S bounds that.
  pluginTimeout: 0
} satisfies FastifyServerOptions

/**
 * The whole System Manager as one plugin: infrastructure, then services, then routes. Its settings are the variables of
 * the environment, or of `env` in its place; those of `config` go before. A setting that cannot be used rejects with a
 * `ConfigError` that names it.
 */
export default async function app (
  app: FastifyInstance,
  options: { config?: Partial<Config>, env?: NodeJS.ProcessEnv }
) {
  // No route takes mere text. Fastify would hand it on as a body, past the limits of those that the routes ask for.
  app.removeContentTypeParser('text/plain')
  // Documents keep fields we do not know, and clients parse them byte for byte: nothing may drop or coerce them on the
  // way out.
  app.setSerializerCompiler(() => data => JSON.stringify(data))

  const { config, env } = options
  await app.register(autoload, { dir: join(import.meta.dirname, 'plugins'), options: { config, env } })
  // Beside its plugin file a service keeps its own parts, which are not plugins.
  await app.register(autoload, {
    dir: join(import.meta.dirname, 'services'),
    indexPattern: /^plugin\.[jt]s$/,
    dirNameRoutePrefix: false
  })
  await app.register(autoload, { dir: join(import.meta.dirname, 'routes') })
}
