import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import app, { serverOptions } from '../../app.js'
import type { Config } from '../../schemas/config.js'
import type { Store } from '../../stores/store.js'

/** A System Manager that listens on a loopback port with a store of its own, closed when the test ends. */
export interface TestServer {
  /** http://127.0.0.1:port */
  url: string
  /** Its store, to write into as another process would. */
  store: Store
  /** fetch with a path instead of a URL. */
  fetch (path: string, init?: RequestInit): Promise<Response>
  /** Body of a GET as JSON, whatever its type. */
  json (path: string): Promise<any>
  /** Body of a GET as text. */
  text (path: string): Promise<string>
  /** Ends it before the test does. */
  close (): Promise<void>
}

/** @param options.look Is shown the server from inside, for what cannot be seen from outside. */
export async function startServer (t: Test, config: Partial<Config> = {}, { logger = false, look }: { logger?: FastifyServerOptions['logger'], look?: (app: FastifyInstance) => void } = {}): Promise<TestServer> {
  const server = Fastify({ ...serverOptions, ...(logger !== false && { logger }) })
  let store!: Store
  await server.register(async scope => {
    // Whatever the machine's environment says.
    // Made only where none is given: it would take that of another server of the test away.
    await app(scope, { config: { ...config, DATA_DIR: config.DATA_DIR ?? t.testdir() }, env: {} })
    store = scope.store
    look?.(scope)
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  return {
    url,
    store,
    fetch: (path, init) => fetch(url + path, init),
    json: async path => (await fetch(url + path)).json(),
    text: async path => (await fetch(url + path)).text(),
    close: () => server.close()
  }
}
