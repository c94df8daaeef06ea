import { pathToFileURL } from 'node:url'
import t from 'tap'

/** Runs several files of tests in this one process: for those that are pure. A file that cannot be loaded fails alone. */
for (const file of process.argv.slice(2)) {
  await import(pathToFileURL(file).href).catch((err: unknown) => t.fail(`${file} cannot be loaded`, { cause: err }))
}
