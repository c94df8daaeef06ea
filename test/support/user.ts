import type { Requester } from '../../plugins/requester.js'

/** A user who waits for the answer. */
export const USER: Requester = { cause: 'user', async confirm () {} }
