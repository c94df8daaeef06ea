import t from 'tap'
import { ConfigError, helpText, readConfig } from '../../plugins/config.js'

t.test('without variables every setting has its default', async t => {
  const config = readConfig({})
  t.match(config, { MY_PORT: 10000, DATA_DIR: './data', CLUSTER_GRACE_S: 45 })
})

t.test('an empty variable counts as not set', async t => {
  t.equal(readConfig({ MY_PORT: '' }).MY_PORT, 10000)
})

t.test('a bad value is refused in one line that names the variable, the value and what it may be', async t => {
  const refusals: Array<[Record<string, string>, RegExp]> = [
    [{ MY_PORT: 'http' }, /^MY_PORT=http cannot be used: expected a whole number of at least 0\. Port to listen on/],
    [{ MY_PORT: '70000' }, /^MY_PORT=70000 cannot be used: expected a whole number of at most 65535/],
    [{ CLUSTER_GRACE_S: '-1' }, /^CLUSTER_GRACE_S=-1 cannot be used: expected a number of at least 1\./],
    [{ CLOUD_MONGO_URL: 'mongodb://me:sesame@localhost' }, /^CLOUD_MONGO_URL=mongodb:\/\/\*\*\*@localhost cannot be used: expected a name or an address, not a URI/],
    [{ MONGO_URI: 'localhost' }, /^MONGO_URI=localhost cannot be used: expected mongodb:\/\/ or mongodb\+srv:\/\//],
    [{ MONGO_URI: 'http://me:sesame@localhost' }, /^MONGO_URI=http:\/\/\*\*\*@localhost cannot be used/],
    [{ CLUSTER_GRACE_S: 'Infinity' }, /^CLUSTER_GRACE_S=Infinity cannot be used: expected a number of at most 86400\. Seconds without/],
    [{ PING_INTERVAL_S: '1e999' }, /^PING_INTERVAL_S=1e999 cannot be used: expected a number/],
    [{ CLUSTER_GRACE_S: '45s' }, /^CLUSTER_GRACE_S=45s cannot be used: expected a number of at least 1\./],
    [{ MY_PORT: '10000.5' }, /^MY_PORT=10000\.5 cannot be used: expected a whole number/],
    [{ MY_PORT: ' ' }, /^MY_PORT= {2}cannot be used: expected a whole number/],
    [
      { CLUSTER_GRACE_S: '300', FAILOVER_AFTER_S: '299' },
      /^FAILOVER_AFTER_S=299 cannot be used: expected a number of at least 300\. Seconds without/
    ],
    [{ FAILOVER_AFTER_S: '44' }, /^FAILOVER_AFTER_S=44 cannot be used: expected a number of at least 45\./],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL=loud cannot be used: expected one of fatal, error, warn/]
  ]
  for (const [env, message] of refusals) {
    t.throws(() => readConfig(env), new ConfigError(), JSON.stringify(env))
    try {
      readConfig(env)
    } catch (err) {
      t.match((err as Error).message, message)
      t.notMatch((err as Error).message, '\n')
    }
  }
})

t.test('all settings that cannot be used are named at once, a line each', async t => {
  t.throws(() => readConfig({ MY_PORT: 'http', LOG_LEVEL: 'loud' }), { message: /^MY_PORT=http [^\n]*\nLOG_LEVEL=loud [^\n]*$/ })
})

t.test('a cluster is lost no sooner than it is inactive: the failover waits for a longer grace', async t => {
  t.equal(readConfig({ CLUSTER_GRACE_S: '300' }).FAILOVER_AFTER_S, 300)
  t.equal(readConfig({ CLUSTER_GRACE_S: '30' }).FAILOVER_AFTER_S, 120)
  t.equal(readConfig({ CLUSTER_GRACE_S: '300', FAILOVER_AFTER_S: '300' }).FAILOVER_AFTER_S, 300)
})

t.test('the help lists every setting with its default', async t => {
  const help = helpText()
  for (const [name, value] of Object.entries(readConfig({}))) {
    t.match(help, new RegExp(`${name} .*\\(default: ${value === '' ? 'none' : String(value)}\\)`))
  }
})
