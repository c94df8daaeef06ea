import { cpSync, existsSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import { SERVER } from './server-process.js'

const PARTS = ['background', 'descriptor', 'plugins', 'routes', 'schemas', 'services', 'stores', 'app', 'server']

/** The whole server with one more plugin, in a folder of the test. Gives the program to start. */
export function serverWith (t: Test, plugin: string): string {
  const [from, extension] = [dirname(fileURLToPath(SERVER)), extname(SERVER)]
  const copy = join(t.testdir(), 'server')
  for (const part of PARTS) {
    const name = existsSync(join(from, part)) ? part : part + extension
    cpSync(join(from, name), join(copy, name), { recursive: true })
  }
  writeFileSync(join(copy, `plugins/one-more${extension}`), `import fp from 'fastify-plugin'\n${plugin}`)
  return pathToFileURL(join(copy, `server${extension}`)).href
}
