import t, { type Test } from 'tap'
import { emptied, startDatabase } from '../../support/database.js'

/** The database of all tests of this process: one for each file would cost more than most tests do. */
export const uri = await startDatabase(t)

/** A test that finds the database empty. */
export function onMongo (name: string, test: (t: Test) => Promise<unknown>): void {
  t.test(name, async t => {
    await emptied(uri)
    await test(t)
  })
}
