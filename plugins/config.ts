import { KindGuard } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { Config } from '../schemas/config.js'
import { expectationOf } from '../schemas/wording.js'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** Settings that cannot be used. Its message has one line for each, for the operator. */
export class ConfigError extends Error {}

/**
 * Reads the settings from the environment; those of `config` take precedence. Throws {@link ConfigError}, which names
 * each setting that cannot be used, and what it may be.
 */
export function readConfig (env: NodeJS.ProcessEnv, config: Partial<Config> = {}): Config {
  const given: Record<string, unknown> = { ...definedOnly(env), ...config }
  const entries = Object.entries(Config.properties).map(([name, schema]) => {
    const value = given[name] ?? schema.default
    const isText = typeof value === 'string' && value.trim() !== ''
    return [name, isText && !KindGuard.IsString(schema) ? Number(value) : value] as const
  })
  const complaints = entries.flatMap(([name, value]) => {
    const schema = Config.properties[name as keyof Config]
    if (Value.Check(schema, value) && (schema.enum === undefined || schema.enum.includes(value))) return []
    const shown = withoutCredentials(String(given[name]))
    return `${name}=${shown} cannot be used: expected ${expectationOf(schema, value)}. ${schema.description ?? ''}`
  })
  if (complaints.length > 0) throw new ConfigError(complaints.join('\n'))
  const read = Object.fromEntries(entries) as Config
  const { CLUSTER_GRACE_S: graceS, FAILOVER_AFTER_S: failoverS } = read
  if (failoverS >= graceS) return read
  // A cluster that is still active is not lost.
  if (given.FAILOVER_AFTER_S === undefined) return { ...read, FAILOVER_AFTER_S: graceS }
  const { description = '' } = Config.properties.FAILOVER_AFTER_S
  throw new ConfigError(
    `FAILOVER_AFTER_S=${failoverS} cannot be used: expected a number of at least ${graceS}. ${description}`
  )
}

/** Keeps passwords out of logs and terminals. */
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
    `  ${name.padEnd(27)} ${String(description)} (default: ${value === '' ? 'none' : String(value)})`
  )
  return `System Manager of EdgeIO: clusters register with it, users deploy services through it.

Usage: system-manager [--help]
       system-manager backup FILE        copy the embedded database into FILE, also while it is in use
       system-manager restore FILE       make FILE the embedded database; the one before is put aside
       system-manager adopt-database     go on with the files that are in DATA_DIR, knowingly: see docs/database.md

Settings are environment variables:
${rows.join('\n')}
`
}

export default fp<{ config?: Partial<Config>, env?: NodeJS.ProcessEnv }>(async function config (app, options) {
  app.decorate('config', readConfig(options.env ?? process.env, options.config))
}, { name: 'config' })
