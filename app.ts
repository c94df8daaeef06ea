import { join } from 'node:path'
import autoload from '@fastify/autoload'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Config } from './schemas/config.js'
import { answerError, answerUnreadable } from './plugins/errors.js'

/** Options of the server that `app` is registered on. They cannot be set from inside a plugin. */
export const serverOptions = {
  // Larger bodies are refused before they are parsed. A route that has a reason for more says so itself.
  bodyLimit: 64 * 1024,
  routerOptions: { maxParamLength: 300 },
  requestIdHeader: 'x-request-id',
  // A client that stops halfway through its request must not hold a connection for ever.
  requestTimeout: 60_000,
  clientErrorHandler: answerUnreadable,
  frameworkErrors: (err, request, reply) => answerError(err, request, reply),
  forceCloseConnections: 'idle',
  // plugins/closing.ts answers.
  return503OnClosing: false,
  // A start may have to wait for its database: MONGO_WAIT_S bounds that.
  pluginTimeout: 0
} satisfies FastifyServerOptions

/**
 * The whole System Manager as one plugin: infrastructure, then services, then routes. Settings come from the
 * environment, or from `env` in its place; those of `config` take precedence. Rejects with a `ConfigError` that names
 * an invalid setting.
 */
export default async function app (
  app: FastifyInstance,
  { config, env }: { config?: Partial<Config>, env?: NodeJS.ProcessEnv }
) {
  // No route takes plain text. Fastify's own parser would accept it, past the limits of the routes.
  app.removeContentTypeParser('text/plain')
  // Documents keep unknown fields, and clients rely on exact types: serialisation must not drop or coerce anything.
  app.setSerializerCompiler(() => data => JSON.stringify(data))

  await app.register(autoload, { dir: join(import.meta.dirname, 'plugins'), options: { config, env } })
  // Only plugin.ts of a service is a plugin; the files beside it are its parts.
  await app.register(autoload, {
    dir: join(import.meta.dirname, 'services'),
    indexPattern: /^plugin\.[jt]s$/,
    dirNameRoutePrefix: false
  })
  await app.register(autoload, { dir: join(import.meta.dirname, 'routes') })
}
