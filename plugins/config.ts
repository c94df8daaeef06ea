import { Type, type Static } from '@sinclair/typebox'
import envSchema from 'env-schema'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** Every setting: an environment variable, its default and what it is for. `--help` prints this. */
export const Config = Type.Object({
  MY_PORT: Type.Integer({
    default: 10000,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 takes a free one'
  }),
  MY_HOST: Type.String({ default: '::', minLength: 1, description: 'Address to listen on; :: is every one, IPv4 too' }),
  MONGO_URI: Type.String({
    default: '',
    pattern: '^(mongodb(\\+srv)?://.+)?$',
    description:
      'MongoDB to keep the data in, as mongodb:// or mongodb+srv:// with whatever it needs: replica set, TLS, ' +
        'credentials. Goes before CLOUD_MONGO_URL; without both the embedded database serves'
  }),
  CLOUD_MONGO_URL: Type.String({
    default: '',
    description: 'Host of a MongoDB to keep the data in, a name or an address',
    pattern: '^[\\w.:-]*$'
  }),
  CLOUD_MONGO_PORT: Type.Integer({ default: 27017, minimum: 1, maximum: 65535, description: 'Port of that MongoDB' }),
  MONGO_WAIT_S: Type.Number({
    default: 60,
    minimum: 0,
    maximum: 3600,
    description: 'Seconds that the start waits for the MongoDB to answer, before it fails'
  }),
  CLOUD_SCHEDULER_URL: Type.String({
    default: '',
    description: 'Host of a Cloud Scheduler, a name or an address; without it the embedded scheduler serves',
    pattern: '^[\\w.:-]*$'
  }),
  CLOUD_SCHEDULER_PORT: Type.Integer({
    default: 10004,
    minimum: 1,
    maximum: 65535,
    description: 'Port of that Cloud Scheduler'
  }),
  SCHEDULER_TIMEOUT_S: Type.Number({
    default: 5,
    minimum: 0.05,
    maximum: 300,
    description: 'Seconds that the Cloud Scheduler has to take a question'
  }),
  SCHEDULER_CALLBACK_S: Type.Number({
    default: 30,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that the Cloud Scheduler has to call back before it is asked again'
  }),
  SCHEDULER_FALLBACK: Type.String({
    default: 'none',
    enum: ['none', 'embedded'],
    description: 'Who places jobs while the Cloud Scheduler does not answer: nobody, or the embedded scheduler'
  }),
  DATA_DIR: Type.String({ default: './data', minLength: 1, description: 'Folder of the embedded database' }),
  LOG_LEVEL: Type.String({
    default: 'info',
    enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    description: 'Least level that is logged'
  }),
  CLUSTER_GRACE_S: Type.Number({
    default: 45,
    minimum: 1,
    maximum: 86400,
    description: 'Seconds without a sign of life after which a cluster is inactive'
  }),
  HEARTBEAT_INTERVAL_S: Type.Number({
    default: 15,
    minimum: 1,
    maximum: 3600,
    description: 'Seconds between heartbeats, told to clusters on the raw WebSocket channel'
  }),
  REGISTRATION_TIMEOUT_S: Type.Number({
    default: 10,
    minimum: 0.05,
    maximum: 600,
    description: 'Seconds that whoever connects as a cluster has to register'
  }),
  PING_INTERVAL_S: Type.Number({
    default: 15,
    minimum: 0.05,
    maximum: 3600,
    description: 'Seconds between WebSocket pings; two without a pong close the channel'
  }),
  COMMAND_RESEND_S: Type.Number({
    default: 20,
    minimum: 0.05,
    maximum: 3600,
    description: 'Seconds after which an unacknowledged command is sent again'
  }),
  SWEEP_S: Type.Number({
    default: 3,
    minimum: 0.05,
    maximum: 60,
    description: 'Seconds between looks for commands and channels of which no notification came'
  }),
  CLUSTER_NETWORKS: Type.String({
    default: '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,fc00::/7,::1/128',
    description:
      'Networks that cluster managers may be called in, separated by commas; an address elsewhere is never contacted'
  }),
  CLUSTER_ANSWER_S: Type.Number({
    default: 15,
    minimum: 0.05,
    maximum: 600,
    description: 'Seconds that a cluster manager has to answer a call'
  }),
  REDEPLOY_AFTER_S: Type.Number({
    default: 15,
    minimum: 0,
    maximum: 600,
    description:
      'Seconds that a cluster manager called over HTTP has after a delete, before it is told of the same job again; ' +
        'the default is one heartbeat'
  }),
  PLACEMENT_RETRY_S: Type.Number({
    default: 5,
    minimum: 0.05,
    maximum: 3600,
    description:
      'Seconds between tries to place what could not be placed, besides the tries that news of a cluster causes'
  }),
  FAILOVER_AFTER_S: Type.Number({
    default: 120,
    minimum: 1,
    maximum: 86400,
    description:
      'Seconds without a sign of life after which what a cluster runs is started elsewhere; not less than ' +
        'CLUSTER_GRACE_S'
  }),
  DEADLINE_SCHEDULED_S: Type.Number({
    default: 120,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that an instance may stay CLUSTER_SCHEDULED or NODE_SCHEDULED before it is tried elsewhere'
  }),
  DEADLINE_STARTING_S: Type.Number({
    default: 600,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that it may stay CREATING, CREATED or DEPLOYED'
  }),
  DEADLINE_STOPPED_S: Type.Number({
    default: 120,
    minimum: 0.05,
    maximum: 86400,
    description:
      'Seconds that it may stay FAILED, DEAD or without a worker node: its cluster may bring it back by itself'
  }),
  DEADLINE_MOVE_S: Type.Number({
    default: 300,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds for a move to run at its target, before it is given up and the source stays'
  }),
  DEADLINE_ROLLOUT_S: Type.Number({
    default: 600,
    minimum: 0.05,
    maximum: 86400,
    description:
      'Seconds for an update to get through all instances, where its descriptor names none, before it goes back'
  }),
  MAX_START_ATTEMPTS: Type.Integer({
    default: 5,
    minimum: 1,
    maximum: 100,
    description: 'Starts of an instance that may fail before it is left FAILED'
  }),
  RECONCILE_S: Type.Number({
    default: 30,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds between comparisons of what a cluster reports with what it is to run'
  }),
  LEASE_S: Type.Number({
    default: 9,
    minimum: 1,
    maximum: 3600,
    description: 'Seconds after which another System Manager takes over from one that died, at most a third more'
  }),
  LOOP_STUCK_S: Type.Number({
    default: 300,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that one turn of a background loop may take before /healthz answers 503'
  }),
  JOB_RETENTION_H: Type.Number({
    default: 168,
    minimum: 0,
    maximum: 87600,
    description: 'Hours that an undeployed job and its events can still be looked up'
  })
})
export type Config = Static<typeof Config>

/** A setting that cannot be used; its message is one line for the operator. */
export class ConfigError extends Error {}

/**
 * Reads the settings from the environment; those of `config` go before. Throws {@link ConfigError}, naming the setting
 * and what it may be.
 */
export function readConfig (env: NodeJS.ProcessEnv, config: Partial<Config> = {}): Config {
  const given: Record<string, unknown> = { ...definedOnly(env), ...config }
  try {
    return finite(envSchema<Config>({ schema: Config, data: given, env: false }))
  } catch (err) {
    const problem =
      (err as { errors?: Array<{ instancePath: string, message?: string, params?: { allowedValues?: string[] } }> })
        .errors?.[0]
    const name = problem?.instancePath.slice(1)
    if (!problem || !name) throw new ConfigError((err as Error).message)
    const allowed = problem.params?.allowedValues ? `: ${problem.params.allowedValues.join(', ')}` : ''
    throw new ConfigError(
      `${name}=${withoutCredentials(String(given[name] ?? ''))} cannot be used: it ` +
        `${problem.message ?? 'is not valid'}${allowed}. ${Config.properties[name as keyof Config]?.description ?? ''}`
    )
  }
}

/** Infinity is a number to the validator, and within any bounds. */
function finite (config: Config): Config {
  const endless = Object.entries(config).find(([, value]) => value === Infinity || value === -Infinity)
  if (endless) {
    throw new ConfigError(
      `${endless[0]}=${endless[1]} cannot be used: it must be finite. ` +
        `${Config.properties[endless[0] as keyof Config].description ?? ''}`
    )
  }
  return config
}

/** Passwords stay out of logs and terminals. */
function withoutCredentials (value: string): string {
  return value.replace(/\/\/[^/]*@/, '//***@')
}

/** An empty variable means "not set", as it does in compose files. */
function definedOnly (env: NodeJS.ProcessEnv): Record<string, unknown> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
}

/** The text of `--help`. */
export function helpText (): string {
  const rows = Object.entries(Config.properties).map(([name, { default: value, description }]) =>
    `  ${name.padEnd(22)} ${String(description)} (default: ${value === '' ? 'none' : String(value)})`
  )
  return `System Manager of EdgeIO: clusters register with it, users deploy services through it.

Usage: system-manager [--help]

Settings are environment variables:
${rows.join('\n')}
`
}

export default fp<{ config?: Partial<Config>, env?: NodeJS.ProcessEnv }>(async function config (app, options) {
  app.decorate('config', readConfig(options.env ?? process.env, options.config))
}, { name: 'config' })
