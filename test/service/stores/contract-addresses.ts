import type { Test } from 'tap'
import type { Job } from '../../../schemas/job.js'
import type { Open } from './opened.js'
import { aJob, addressesOf, anEvent, anInstance, commit, saved, undeployed } from './samples.js'

const asking = (address: string): Partial<Job> => ({ service_ip_list: [{ IpType: 'RR', Address: address }] })

/** Promises about service and instance addresses, which are part of each commit. */
export function addressContract (t: Test, open: Open): void {
  t.test('a new job gets an address for its service and each instance, and keeps them', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob({ instances: 3 }))
    const addresses = addressesOf(job)
    t.equal(new Set(addresses).size, 4)
    for (const address of addresses) t.match(address, /^172\.30\.\d+\.\d+$/)
    t.notMatch(addresses, ['172.30.0.0'])
    const next = await saved(store, { ...job, status: 'RUNNING' })
    t.strictSame(addressesOf(next), addresses)
    const more = await saved(store, { ...next, instance_list: [...next.instance_list, anInstance(3)] })
    t.strictSame(addressesOf(more).slice(0, 4), addresses)
    t.equal(new Set(addressesOf(more)).size, 5)
  })

  t.test('2,000 jobs created at the same time lease 4,000 different addresses', async t => {
    const { store, reopen } = await open(t)
    const jobs = await Promise.all(Array.from({ length: 2000 }, () => saved(store, aJob())))
    t.equal(new Set(jobs.flatMap(addressesOf)).size, 4000)
    const later = await saved(await reopen(), aJob())
    t.notOk(jobs.flatMap(addressesOf).some(address => addressesOf(later).includes(address)), 'nor after a restart')
  })

  t.test('a job is found by its service address and by that of each instance', async t => {
    const { store, reopen } = await open(t)
    const job = await saved(store, aJob({ instances: 2 }))
    await saved(store, aJob())
    const again = await reopen()
    for (const address of addressesOf(job)) t.strictSame(await again.jobs.byAddress(address), job)
    for (const address of ['172.30.200.200', '172.30.0.0', '10.0.0.1', '172.30.01.1', '172.30.0.256', '', 'nonsense']) {
      t.equal(await again.jobs.byAddress(address), undefined, `nobody holds "${address}"`)
    }
  })

  t.test('a requested address is claimed if it is free, and never leased to another job', async t => {
    const { store } = await open(t)
    const { service_ip_list: [entry] } = await saved(store, aJob())
    const [, , third, fourth] = entry!.Address.split('.').map(Number)
    const soon = Array.from({ length: 6 }, (_, index) => `172.30.${third}.${fourth! + 2 + 2 * index}`)
    const claimants = await Promise.all(soon.map(address => saved(store, aJob(asking(address)))))
    t.strictSame(claimants.map(job => job.service_ip_list[0]!.Address), soon)
    const others = await Promise.all(Array.from({ length: 10 }, () => saved(store, aJob())))
    const all = [...claimants, ...others].flatMap(addressesOf)
    t.equal(new Set(all).size, all.length)
    t.equal((await store.jobs.byAddress(soon[0]!))?.id, claimants[0]!.id)
  })

  t.test('an address of another job is refused and leaves nothing behind', async t => {
    const { store } = await open(t)
    const holder = await saved(store, aJob(asking('172.30.7.7')))
    for (const address of addressesOf(holder)) {
      const job = aJob({ instances: 2, ...asking(address) })
      t.strictSame(await commit(store, job, { events: [anEvent('lost')] }), { outcome: 'address_taken', address })
      t.equal(await store.jobs.get(job.id), undefined)
      t.strictSame(await store.jobs.events(job.id, { limit: 9 }), [])
    }
    const job = await saved(store, aJob())
    t.strictSame(await commit(store, { ...job, ...asking('172.30.7.7') }), { outcome: 'address_taken', address: '172.30.7.7' })
    t.strictSame(await store.jobs.get(job.id), job)
    t.equal((await store.jobs.byAddress(job.service_ip_list[0]!.Address))?.id, job.id, 'it still holds what it held')
  })

  t.test('an address that the pool cannot lease is refused like a taken one', async t => {
    const { store } = await open(t)
    for (const address of ['172.30.0.0', '172.30.255.255', '172.31.0.1', '172.30.01.1']) {
      t.strictSame(await commit(store, aJob(asking(address))), { outcome: 'address_taken', address })
    }
    await saved(store, aJob(asking('172.30.0.1')))
    await saved(store, aJob(asking('172.30.255.254')))
  })

  t.test('an address that a job no longer names is given back, one that retires is not', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob({ instances: 2 }))
    const [kept, leaving] = job.instance_list
    const service = job.service_ip_list[0]!.Address
    const retiring = await saved(store, {
      ...job,
      ...asking('172.30.9.9'),
      instance_list: [kept!],
      retiring: [
        {
          command_id: 'x',
          cluster_id: job.id,
          instances: [{ instance_number: 1, instance_ip: leaving!.instance_ip }],
          error: null,
          since: new Date().toISOString(),
          released: false,
          original: false,
          told: null
        }
      ]
    })
    t.equal(await store.jobs.byAddress(service), undefined, 'the former service address')
    t.equal((await store.jobs.byAddress(leaving!.instance_ip))?.id, job.id, 'the cluster has not confirmed yet')
    t.strictSame(await commit(store, aJob(asking(leaving!.instance_ip))), { outcome: 'address_taken', address: leaving!.instance_ip })
    const done = await saved(store, { ...retiring, retiring: [] })
    t.equal(await store.jobs.byAddress(leaving!.instance_ip), undefined)
    await saved(store, aJob(asking(leaving!.instance_ip)))
    await saved(store, undeployed(done))
    t.equal(await store.jobs.byAddress('172.30.9.9'), undefined)
    await saved(store, aJob(asking('172.30.9.9')))
  })

  t.test('an instance that moves keeps its address while its former cluster still retires it', async t => {
    const { store } = await open(t)
    const job = await saved(store, aJob())
    const { instance_ip: address } = job.instance_list[0]!
    const retiring = [
      {
        command_id: 'x',
        cluster_id: job.id,
        instances: [{ instance_number: 0, instance_ip: address }],
        error: null,
        since: new Date().toISOString(),
        released: false,
        original: false,
        told: null
      }
    ]
    const moving = await saved(store, { ...job, retiring })
    const moved = await saved(store, { ...moving, retiring: [] })
    t.equal(moved.instance_list[0]!.instance_ip, address)
    t.equal((await store.jobs.byAddress(address))?.id, job.id)
  })

  t.test('an exhausted pool is reported and changes nothing; freed addresses can be leased again', async t => {
    const { store, reopen } = await open(t)
    // Asked for ahead of their turn: one is free again when its turn comes, the other was, and is not any more.
    const ahead = async (address: string) => await saved(store, aJob({ instances: 0, ...asking(address) }))
    for (const address of ['172.30.8.8', '172.30.9.9']) await saved(store, undeployed(await ahead(address)))
    const kept = await ahead('172.30.8.8')
    // With it, 65 jobs of 1,000 addresses and one of 533 are the whole of 172.30.0.1 to 172.30.255.254.
    const jobs: Job[] = []
    for (let left = 65533; left > 0; left -= 1000) jobs.push(await saved(store, aJob({ instances: Math.min(left, 1000) - 1 })))
    t.equal(new Set([kept, ...jobs].flatMap(addressesOf)).size, 65534)
    const one = aJob()
    t.strictSame(await commit(store, one, { events: [anEvent('lost')] }), { outcome: 'addresses_exhausted' })
    t.equal(await store.jobs.get(one.id), undefined)
    t.strictSame(await store.jobs.events(one.id, { limit: 9 }), [])

    await saved(store, undeployed(kept))
    t.strictSame(addressesOf(await saved(store, aJob({ instances: 0 }))), ['172.30.8.8'], 'also one that was asked for ahead of its turn')
    const first = await saved(store, undeployed(jobs[0]!))
    const again = await reopen()
    t.strictSame(await commit(again, aJob({ instances: 1000 })), { outcome: 'addresses_exhausted' }, 'one more than there are')
    const next = await saved(again, aJob({ instances: 999 }))
    t.strictSame(addressesOf(next).sort(), addressesOf(jobs[0]!).sort(), 'the failed try before it took none')
    t.strictSame(first.service_ip_list, [])
    t.strictSame(await commit(again, one), { outcome: 'addresses_exhausted' })
  })
}
