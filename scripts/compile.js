import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transform, version } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, '.compiled')
/** Folders without sources of ours. Names that begin with a dot are left out, too. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'data', 'coverage', 'target'])

/** All files below a folder, as relative paths. */
async function filesOf (folder, isWanted, path = '') {
  const entries = await readdir(join(folder, path), { withFileTypes: true })
  const found = await Promise.all(entries.map(async entry => {
    const name = join(path, entry.name)
    if (entry.isDirectory()) return isWanted(entry.name) ? await filesOf(folder, isWanted, name) : []
    return [name]
  }))
  return found.flat()
}

/** All sources of ours in TypeScript, as paths from the project's folder. `leftOut` are folders to pass over. */
export async function sources (leftOut = []) {
  const files = await filesOf(ROOT, name => !name.startsWith('.') && !LEFT_OUT.has(name) && !leftOut.includes(name))
  return files.filter(name => /(?<!\.d)\.ts$/.test(name))
}

/** Compiles one file, unless its output is up to date: it has the modification time of the source. */
async function compile (name) {
  const source = join(ROOT, name)
  const target = join(OUT, name.replace(/\.ts$/, '.js'))
  const { mtime } = await stat(source)
  const made = await stat(target).catch(() => undefined)
  if (made?.mtimeMs === mtime.getTime()) return
  const { code } = await transform(await readFile(source, 'utf8'), {
    loader: 'ts',
    target: 'node20',
    sourcefile: source,
    sourcemap: 'inline',
    sourcesContent: false,
    // Tests look for files beside their source: examples, scripts, documents. Code looks beside its compiled file.
    ...name.startsWith('test/') && {
      define: {
        'import.meta.dirname': JSON.stringify(dirname(source)),
        'import.meta.filename': JSON.stringify(source),
        'import.meta.url': JSON.stringify(pathToFileURL(source).href)
      }
    }
  })
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, code)
  await utimes(target, mtime, mtime)
}

/**
 * Compiles every source and every test into .compiled/, file by file, with source maps, so that Node.js runs them
 * without a loader, which would cost each of the many processes seconds. Types are not checked. Quick when nothing has
 * changed. Returns the test files, as paths from the project's folder.
 */
export async function compileAll () {
  const made = `${version} ${(await stat(import.meta.filename)).mtimeMs}`
  const stamp = join(OUT, 'made-by')
  if (await readFile(stamp, 'utf8').catch(() => '') !== made) await rm(OUT, { recursive: true, force: true })
  await mkdir(OUT, { recursive: true })

  const all = await sources()
  await Promise.all(all.map(compile))
  const targets = new Set(all.map(name => name.replace(/\.ts$/, '.js')))
  for (const name of await filesOf(OUT, () => true)) {
    if (!targets.has(name)) await rm(join(OUT, name))
  }
  await writeFile(stamp, made)
  return all.filter(name => name.endsWith('.test.ts')).sort()
}
