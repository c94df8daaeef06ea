#!/usr/bin/env node
import { inspect, parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import Fastify, { LogController } from 'fastify'
import app, { serverOptions } from './app.js'
import { ConfigError, helpText, readConfig } from './plugins/config.js'
import type { Config } from './schemas/config.js'
import { ApiError } from './schemas/errors.js'

/**
 * Milliseconds that requests in flight have to finish when the server closes. Then every connection is cut, even one
 * that never sent a request.
 */
const DRAIN_MS = 3000

/** Starts the System Manager: registers the app, listens, and closes gracefully on a signal. */
async function start (config: Config) {
  const server = Fastify({
    ...serverOptions,
    // With thousands of heartbeats, a line per request would dominate the log and the CPU time.
    logController: new LogController({ disableRequestLogging: !['debug', 'trace'].includes(config.LOG_LEVEL) }),
    logger: {
      level: config.LOG_LEVEL,
      redact: ['req.headers.authorization', 'req.headers.cookie'],
      ...(process.stdout.isTTY &&
        { transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss', ignore: 'pid,hostname' } } })
    }
  })
  closeWithGrace({ delay: 10_000, logger: server.log }, async ({ err }) => {
    if (err) server.log.fatal({ err }, 'closing after an uncaught error')
    const impatience = setTimeout(() => server.server.closeAllConnections(), DRAIN_MS)
    await server.close()
    clearTimeout(impatience)
  })
  await server.register(app, { config })
  // Before listen(), so that the error below can only come from the address.
  await server.ready()
  try {
    await server.listen({ host: config.MY_HOST, port: config.MY_PORT })
  } catch (err) {
    // Its database is left as after any other end.
    await server.close()
    throw new ConfigError(
      `MY_HOST=${config.MY_HOST} MY_PORT=${config.MY_PORT} cannot be listened on: ${(err as Error).message}`,
      { cause: err }
    )
  }
}

/** What the arguments ask for. Throws {@link ConfigError} for any that are not known. */
function readArguments (): { help: boolean, command: string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { help: { type: 'boolean', short: 'h' } },
      allowPositionals: true
    })
    return { help: values.help ?? false, command: positionals }
  } catch (err) {
    // The rest of it is for programmers.
    const [what = ''] = (err as Error).message.split('. ')
    throw new ConfigError(`${what}. See --help`, { cause: err })
  }
}

/** Carries out a command on the files of the database. Gives what to tell the operator. */
async function run ([name, file, ...others]: string[], config: Config): Promise<string> {
  const { adoptDatabase, backupDatabase, restoreDatabase } = await import('./commands/database.js')
  try {
    if (name === 'backup' && file !== undefined && others.length === 0) return await backupDatabase(config, file)
    if (name === 'restore' && file !== undefined && others.length === 0) return await restoreDatabase(config, file)
    if (name === 'adopt-database' && file === undefined) return await adoptDatabase(config)
  } catch (err) {
    // Files that are not there, a disk that is full: its message is enough.
    throw new ConfigError((err as Error).message, { cause: err })
  }
  throw new ConfigError('Expected no command, or: backup FILE, restore FILE, adopt-database. See --help')
}

/** Prints for a reader that may have enough before the end, as `head` has. */
function print (text: string): void {
  process.stdout.on('error', (err: NodeJS.ErrnoException) => {
    if (err.code !== 'EPIPE') throw err
  })
  process.stdout.write(text)
}

/** Errors that the operator can fix: a setting, an argument, the address, the database. Their message is enough. */
function isOperators (err: unknown): err is Error {
  return err instanceof ConfigError || (err instanceof ApiError && err.code === 'store_unavailable')
}

try {
  const { help, command } = readArguments()
  const config = help ? undefined : readConfig(process.env)
  if (!config) print(helpText())
  else if (command.length > 0) print(`${await run(command, config)}\n`)
  else await start(config)
} catch (err) {
  process.stderr.write(`system-manager: ${isOperators(err) ? err.message : inspect(err)}\n`)
  process.exit(1)
}
