#!/usr/bin/env node
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import Fastify, { LogController } from 'fastify'
import app, { serverOptions } from './app.js'
import { ConfigError, helpText, readConfig, type Config } from './plugins/config.js'

/**
 * Milliseconds that requests in flight have when the server closes. A connection that never asked anything is cut off
 * then, too.
 */
const DRAIN_MS = 3000

/** Boots the System Manager: reads the settings, listens, closes gracefully. */
async function start (config: Config) {
  const server = Fastify({
    ...serverOptions,
    // A line per request would be most of the log, and of the time, once thousands of clusters send heartbeats.
    logController: new LogController({ disableRequestLogging: !['debug', 'trace'].includes(config.LOG_LEVEL) }),
    logger: {
      level: config.LOG_LEVEL,
      redact: ['req.headers.authorization', 'req.headers.cookie'],
      ...(process.stdout.isTTY &&
        { transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss', ignore: 'pid,hostname' } } })
    }
  })
  closeWithGrace({ delay: 10_000, logger: server.log }, async ({ err }) => {
    if (err) server.log.fatal({ err }, 'closing after an error that nothing caught')
    const impatience = setTimeout(() => server.server.closeAllConnections(), DRAIN_MS)
    await server.close()
    clearTimeout(impatience)
  })
  await server.register(app, { config })
  try {
    await server.listen({ host: config.MY_HOST, port: config.MY_PORT })
  } catch (err) {
    throw new ConfigError(
      `MY_HOST=${config.MY_HOST} MY_PORT=${config.MY_PORT} cannot be listened on: ${(err as Error).message}`,
      { cause: err }
    )
  }
}

try {
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } })
  if (values.help) process.stdout.write(helpText())
  else await start(readConfig(process.env))
} catch (err) {
  // One clear line for what an operator can mend; the stack only for what is our fault.
  const known = err instanceof ConfigError || (err instanceof Error && 'code' in err)
  process.stderr.write(`system-manager: ${known ? (err as Error).message : (err as Error).stack}\n`)
  process.exit(1)
}
