import { pathToFileURL } from 'node:url'
import t from 'tap'

/**
 * Runs the files of tests in TEST_FILES, a JSON list of paths, in this one process. A file that cannot be loaded fails
 * alone. They come by the environment, since tap names its folders after the command line.
 */
for (const file of JSON.parse(process.env.TEST_FILES!) as string[]) {
  await import(pathToFileURL(file).href).catch((err: unknown) => t.fail(`${file} cannot be loaded`, { cause: err }))
}
