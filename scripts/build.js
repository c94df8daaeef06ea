import { rm } from 'node:fs/promises'
import { build } from 'esbuild'
import { sources } from './compile.js'

/**
 * Builds the sources into dist/, file by file: `npm run build`. Types are checked by `npm run typecheck`, and their
 * declarations written before the package is packed: both take many times as long.
 */

await rm('dist', { recursive: true, force: true })
await build({
  entryPoints: await sources(['bench', 'scripts', 'test']),
  outdir: 'dist',
  outbase: '.',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning'
})
