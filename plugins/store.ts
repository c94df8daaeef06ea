import { join } from 'node:path'
import fp from 'fastify-plugin'
import { openSqliteStore } from '../stores/sqlite/open.js'
import type { Store } from '../stores/store.js'

declare module 'fastify' {
  interface FastifyInstance { store: Store }
}

/** Opens the database and closes it last, when nothing can write any more. */
export default fp(async function store (app) {
  const store = await openSqliteStore({ file: join(app.config.DATA_DIR, 'system-manager.db') })
  app.decorate('store', store)
  app.addHook('onClose', () => store.close())
}, { name: 'store', dependencies: ['config'] })
