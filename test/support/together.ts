import { pathToFileURL } from 'node:url'
import t from 'tap'

/**
 * Runs the files of tests in TEST_FILES, a JSON list, in this one process. A file that cannot be loaded fails alone.
 * They come by the environment, since tap makes the names of folders from the command line.
 */
for (const file of JSON.parse(process.env.TEST_FILES!)) {
  await import(pathToFileURL(file).href).catch((err: unknown) => t.fail(`${file} cannot be loaded`, { cause: err }))
}
