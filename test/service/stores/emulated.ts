import t, { type Test } from 'tap'
import { startEmulator } from '../../support/mongo-wire/emulator.js'
import { emptied } from './mongo-store.js'

/** The emulator of all tests of this process: one for each file would cost more than most tests do. */
export const { uri } = await startEmulator(t)

/** A test that finds the emulator empty. */
export function emulated (name: string, test: (t: Test) => Promise<unknown>): void {
  t.test(name, async t => {
    await emptied(uri)
    await test(t)
  })
}
