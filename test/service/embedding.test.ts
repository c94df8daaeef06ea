import fastify from 'fastify'
import t, { type Test } from 'tap'
import app, { serverOptions } from '../../app.js'
import { ConfigError } from '../../plugins/config.js'
import type { Config } from '../../schemas/config.js'

/** The settings of the whole server when it is registered in this way. */
async function settings (t: Test, options: Parameters<typeof app>[1]): Promise<Config> {
  const server = fastify(serverOptions)
  t.teardown(() => server.close())
  let config!: Config
  await server.register(async scope => {
    await app(scope, options)
    config = scope.config
  })
  return config
}

t.test('settings of the option go before the environment, which goes before the defaults', async t => {
  const env = { DATA_DIR: t.testdir(), CLUSTER_GRACE_S: '7', RECONCILE_S: '8' }
  t.match(await settings(t, { env, config: { RECONCILE_S: 9 } }), { CLUSTER_GRACE_S: 7, RECONCILE_S: 9, PLACEMENT_RETRY_S: 5 })
})

t.test('without an environment of its own that of the process counts, also beside the option', async t => {
  process.env.CLUSTER_GRACE_S = '7'
  t.teardown(() => { delete process.env.CLUSTER_GRACE_S })
  t.match(await settings(t, { config: { DATA_DIR: t.testdir(), RECONCILE_S: 9 } }), { CLUSTER_GRACE_S: 7, RECONCILE_S: 9 })
})

t.test('an empty setting of the option takes the one of the environment away', async t => {
  const env = { DATA_DIR: t.testdir(), MONGO_URI: 'mongodb://127.0.0.1:1' }
  t.equal((await settings(t, { env, config: { MONGO_URI: '' } })).MONGO_URI, '')
})

for (const [config, message] of [
  [{ MY_PORT: 70_000 }, /^MY_PORT=70000 cannot be used: expected a whole number of at most 65535/],
  [{ CLUSTER_GRACE_S: -1 }, /^CLUSTER_GRACE_S=-1 cannot be used: expected a number of at least 1\./],
  [{ RECONCILE_S: Infinity }, /^RECONCILE_S=Infinity cannot be used: expected a number of at most 86400/],
  [{ MONGO_URI: 'http://me:sesame@localhost' }, /^MONGO_URI=http:\/\/\*\*\*@localhost cannot be used/]
] as Array<[Partial<Config>, RegExp]>) {
  t.test(`the option is checked like the environment: ${Object.keys(config)[0]}`, async t => {
    const err = await settings(t, { env: {}, config: { DATA_DIR: t.testdir(), ...config } }).then(() => undefined, (err: unknown) => err)
    t.type(err, ConfigError)
    t.match((err as Error).message, message)
  })
}
