import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { databaseIn } from '../stores/sqlite/marker.js'
import { openSqliteStore } from '../stores/sqlite/open.js'
import type { Store } from '../stores/store.js'
import { ConfigError } from './config.js'
import type { Config } from '../schemas/config.js'

declare module 'fastify' {
  interface FastifyInstance {
    store: Store
  }
}

/** Opens the database, and closes it last, when nothing writes any more. */
export default fp(async function store (app) {
  const uri = mongoUri(app.config)
  const store = uri === undefined
    ? await openSqliteStore({ file: databaseIn(app.config.DATA_DIR), log: app.log })
    : await openMongo(app, uri)
  app.decorate('store', store)
  app.addHook('onClose', () => store.close())
}, { name: 'store', dependencies: ['config', 'loops'] })

/**
 * @fastify/mongodb gets our client: its own one cannot wait for a database that starts later. The driver is loaded only
 * here, since a server with the embedded store starts a seventh faster without it.
 */
async function openMongo (app: FastifyInstance, uri: string): Promise<Store> {
  const [{ default: mongodb }, { createClient }, { openMongoStore }] = await Promise.all([
    import('@fastify/mongodb'),
    import('../stores/mongodb/client.js'),
    import('../stores/mongodb/open.js')
  ])
  let client
  try {
    client = createClient(uri)
  } catch (err) {
    throw new ConfigError(`MONGO_URI cannot be used: ${(err as Error).message}`)
  }
  await app.register(mongodb, { client })
  return await openMongoStore({
    client: app.mongo.client,
    waitMs: app.config.MONGO_WAIT_S * 1000,
    startLoop: app.loops.start,
    log: app.log
  })
}

/** Undefined when no MongoDB is configured. */
function mongoUri ({ MONGO_URI: uri, CLOUD_MONGO_URL: host, CLOUD_MONGO_PORT: port }: Config): string | undefined {
  if (uri !== '') return uri
  if (host === '') return undefined
  return `mongodb://${host.includes(':') ? `[${host}]` : host}:${port}`
}
