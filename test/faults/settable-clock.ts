import type { Test } from 'tap'
import { serverWith } from '../support/server-with.js'

/** Sets the clock of its process: what Date shows, and nothing else, as when the clock of a machine is set. */
const SETTABLE_CLOCK = `
  export default fp(async app => {
    const Real = Date
    let shift = 0
    globalThis.Date = class extends Real {
      constructor (...given) { super(...given.length > 0 ? given : [Real.now() + shift]) }
      static now () { return Real.now() + shift }
    }
    app.get('/set-clock/:by', async ({ params }) => { shift += Number(params.by) })
  }, { name: 'one-more' })`

/** The program of a server whose clock is set by GET /set-clock/MS. */
export const serverWithClock = (t: Test): string => serverWith(t, SETTABLE_CLOCK)
