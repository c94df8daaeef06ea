import type { Test } from 'tap'
import { addressContract } from './contract-addresses.js'
import { clusterContract } from './contract-clusters.js'
import { commitContract } from './contract-commit.js'
import { jobQueryContract } from './contract-job-queries.js'
import { leaseContract } from './contract-leases.js'
import { outboxContract } from './contract-outbox.js'
import type { Open } from './opened.js'
import { unreadableContract } from './contract-unreadable.js'
import { versionContract } from './contract-versions.js'
import { subnetContract } from './contract-subnets.js'
import { registered, saved, aJob } from './samples.js'

/** The promises of the store port. Every adapter has to pass all of it. */
export function storeContract (t: Test, open: Open): void {
  clusterContract(t, open)
  commitContract(t, open)
  addressContract(t, open)
  jobQueryContract(t, open)
  outboxContract(t, open)
  leaseContract(t, open)
  subnetContract(t, open)
  versionContract(t, open)
  unreadableContract(t, open)

  t.test('check answers while the store is open and rejects once it is closed', async t => {
    const { store } = await open(t)
    await t.resolves(store.check())
    await store.close()
    await t.rejects(store.check(), { code: 'shutting_down' })
  })

  t.test('closing writes what is pending first and refuses what comes later', async t => {
    const { store, reopen } = await open(t)
    const pending = Array.from({ length: 20 }, () => registered(store))
    const closed = store.close()
    await t.rejects(registered(store), { code: 'shutting_down' }, 'a write')
    const before = await Promise.all(pending)
    await closed
    await t.rejects(store.jobs.list({}), { code: 'shutting_down' }, 'a read')
    await t.resolves(store.close(), 'closing again does nothing')
    const after = await (await reopen()).clusters.list({})
    t.strictSame(after, before.toSorted((a, b) => a.id < b.id ? -1 : 1))
  })

  t.test('what a reader gets is its own: changing it changes nothing in the store', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob())
    const cluster = await registered(store)
    job.instance_list.length = 0
    cluster.warnings.push('mine')
    const [read] = await store.jobs.list({})
    t.equal(read!.instance_list.length, 1)
    read!.service_ip_list.length = 0
    t.equal((await store.jobs.get(job.id))!.service_ip_list.length, 1)
    t.strictSame((await store.clusters.get(cluster.id))!.warnings, [])
  })
}
