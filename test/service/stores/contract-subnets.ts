import type { Test } from 'tap'
import type { Open } from './opened.js'
import { aJob, nextSubnet, saved } from './samples.js'

export function subnetContract (t: Test, open: Open): void {
  t.test(
    'subnets of 64 addresses follow one another to the end of the range, then those that were released',
    async t => {
      const { store, reopen } = await open(t)
      t.equal(await nextSubnet(store), '172.18.0.0')
      t.equal(await nextSubnet(store), '172.18.0.64')
      const many = await Promise.all(Array.from({ length: 1021 }, () => nextSubnet(store)))
      t.equal(new Set(many).size, 1021, 'asking at the same time gives each one once')
      t.equal(many.at(-1), '172.18.255.128')
      t.equal(await store.subnets.release('172.18.0.64'), true)
      const again = await reopen()
      t.equal(await nextSubnet(again), '172.18.255.192', 'goes on after a restart')
      t.equal(await nextSubnet(again), '172.19.0.0')
      const rest = await Promise.all(Array.from({ length: 11 * 1024 - 1 }, () => nextSubnet(again)))
      t.equal(rest.at(-1), '172.29.255.192', 'the last one before the addresses of services')
      t.equal(await nextSubnet(again), '172.18.0.64')
      t.equal(await nextSubnet(again), undefined)
      t.same(await again.subnets.take('10.0.0.2', 1, 0), { outcome: 'exhausted' })
    }
  )

  t.test('an address gets as many subnets as it may, and can have more once some are released', async t => {
    const { store } = await open(t)
    const take = (address: string) => store.subnets.take(address, 3, Date.parse('2026-01-31T12:00:00Z'))
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => take('10.0.0.1')))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'given').length, 3)
    t.same(outcomes.filter(({ outcome }) => outcome === 'limit')[0], { outcome: 'limit', used: 3 })
    t.same(await take('10.0.0.2'), { outcome: 'given', subnet: '172.18.0.192' })
    const given = { address: '10.0.0.1', given_at: '2026-01-31T12:00:00.000Z' }
    const all = await store.subnets.list({ limit: 10 })
    t.same(all, [
      { subnet: '172.18.0.0', ...given },
      { subnet: '172.18.0.64', ...given },
      { subnet: '172.18.0.128', ...given },
      { subnet: '172.18.0.192', ...given, address: '10.0.0.2' }
    ])
    t.same(await store.subnets.list({ limit: 2 }), all.slice(0, 2))
    t.same(await store.subnets.list({ after: '172.18.0.64', limit: 1 }), all.slice(2, 3))
    t.same(await store.subnets.list({ after: '172.18.0.192', limit: 1 }), [])
    const released = await Promise.all(Array.from({ length: 3 }, () => store.subnets.release('172.18.0.64')))
    t.same(released.filter(Boolean), [true], 'once')
    t.same(await store.subnets.list({ limit: 10 }), [all[0], all[2], all[3]])
    for (const subnet of ['172.18.0.64', '172.18.1.0', '172.18.0.1', '172.17.0.0', '172.30.0.0', 'x', '']) {
      t.equal(await store.subnets.release(subnet), false, subnet)
    }
    t.same(await take('10.0.0.1'), { outcome: 'given', subnet: '172.18.1.0' })
    t.match(await take('10.0.0.1'), { outcome: 'limit' })
  })

  t.test('what the jobs of a namespace use is counted, without those that are undeployed', async t => {
    const { store } = await open(t)
    const inNamespace = (ns: string, service: string) => {
      const job = aJob()
      return {
        ...job,
        job_name: `demo.${ns}.${service}.test`,
        descriptor: { ...job.descriptor, app_ns: ns, service_name: service }
      }
    }
    t.same(await store.jobs.used('a'), { jobs: 0, addresses: 0 })
    await saved(store, inNamespace('a', 'one'))
    const two = await saved(store, inNamespace('a', 'two'))
    await saved(store, inNamespace('b', 'one'))
    const instances = (await store.jobs.list({})).map(({ instance_list: list }) => list.length)[0]!
    t.same(await store.jobs.used('a'), { jobs: 2, addresses: 2 * (1 + instances) })
    await saved(store, {
      ...two,
      desired_state: 'undeployed',
      status: 'UNDEPLOYED',
      instance_list: [],
      service_ip_list: []
    })
    t.same(await store.jobs.used('a'), { jobs: 1, addresses: 1 + instances })
    t.same(await store.jobs.used('b'), { jobs: 1, addresses: 1 + instances })
  })
}
