import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Open } from './opened.js'
import { registered } from './samples.js'

/** Promises of LeaseStore and ChannelStore. */
export function leaseContract (t: Test, open: Open): void {
  t.test('a lease is with one holder until it expires or is given back, and its token rises with each change of hands', async t => {
    const { store } = await open(t)
    const { leases } = store
    t.equal(await leases.acquire('reconciler', 'a', 60_000), 1)
    t.equal(await leases.acquire('reconciler', 'a', 60_000), 1, 'prolonged')
    t.equal(await leases.acquire('reconciler', 'b', 60_000), undefined)
    t.equal(await leases.acquire('other', 'b', 60_000), 1)
    await leases.release('reconciler', 'b')
    t.equal(await leases.acquire('reconciler', 'b', 60_000), undefined, 'only its holder can give it back')
    await leases.release('reconciler', 'a')
    t.equal(await leases.acquire('reconciler', 'b', 30), 2)
    await sleep(40)
    t.equal(await leases.acquire('reconciler', 'a', 60_000), 3)
    t.equal(await leases.acquire('reconciler', 'b', 60_000), undefined)
  })

  t.test('a holder that comes back after its lease expired gets a new token', async t => {
    const { store } = await open(t)
    t.equal(await store.leases.acquire('reconciler', 'a', 20), 1)
    await sleep(30)
    t.equal(await store.leases.acquire('reconciler', 'a', 60_000), 2)
  })

  t.test('of many concurrent attempts, one gets the lease', async t => {
    const { store } = await open(t)
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => store.leases.acquire('reconciler', `p${i}`, 60_000)))
    t.strictSame(tokens.filter(token => token !== undefined), [1])
  })

  t.test('the newest claim to a channel counts, while the process of its holder lives', async t => {
    const { store, reopen } = await open(t)
    const { id } = await registered(store)
    t.equal(await store.channels.claim(id, 'a'), 1)
    t.strictSame(await store.channels.current([id]), new Map(), 'nobody has said that process a lives')
    await store.leases.acquire('process/a', 'a', 60_000)
    await store.leases.acquire('process/b', 'b', 60_000)
    t.strictSame(await store.channels.current([id, 'ffffffffffffffffffffffff']), new Map([[id, { holder: 'a', claim: 1 }]]))
    t.equal(await store.channels.claim(id, 'b'), 2)
    await store.channels.release(id, 1)
    t.strictSame(await store.channels.current([id]), new Map([[id, { holder: 'b', claim: 2 }]]), 'the late end of the older session changes nothing')
    await store.channels.release(id, 2)
    t.strictSame(await store.channels.current([id]), new Map())
    t.equal(await (await reopen()).channels.claim(id, 'a'), 3)
  })
}
