import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterView } from '../../schemas/cluster.js'
import type { Config } from '../../schemas/config.js'
import { eventually } from '../support/waiting.js'
import { places, running, runs, startWorld, stateFile } from './world.js'

/** Three clusters that keep what they run while they are away, with an instance of a service on each. */
async function startThree (t: Test, config: Partial<Config> = {}) {
  const world = await startWorld(t, config)
  const names = ['hpi', 'tum', 'eth']
  const states = Object.fromEntries(names.map(name => [name, stateFile(t)]))
  const open = (name: string) => world.cluster(name, { stateFile: states[name]! })
  const clusters = await Promise.all(names.map(open))
  await world.deploy('replicas: 3\n')
  const before = await world.until(runs(3))
  t.equal(new Set(places(before)).size, 3)
  const lost = async () =>
    (await world.server.json('/api/v1/clusters')).items.map((seen: ClusterView) => seen.lost_at !== null)
  const check = async (name: string) =>
    (await world.server.json('/readyz')).checks.find((check: { name: string }) => check.name === name).detail
  const metric = async (line: string) => (await (await world.server.fetch('/metrics')).text()).includes(line)
  return { ...world, open, clusters, before, lost, check, metric }
}

t.test('when all clusters fall silent together, nothing moves, and all run on when they are back', async t => {
  const { clusters, before, lost, check, metric, until, events, open, job } = await startThree(t)
  t.equal(await check('evictions'), 'no eviction is held')
  await Promise.all(clusters.map(cluster => cluster.kill()))
  await eventually(lost, seen => seen.every(Boolean))
  const dead = await until(({ instance_list: list }) => list.every(({ silent }) => silent))
  t.match(
    dead.status_reason,
    /gives no sign of life, like most clusters: it may still run, and is not started elsewhere/
  )
  t.same(places(dead), places(before))
  t.match(await check('evictions'), '3 of 3 clusters fell silent together: nothing is started elsewhere')
  t.ok(await metric('edgeio_clusters_lost{eviction="held"} 3'))

  const hpi = await open('hpi')
  await until(({ instance_list: list }) => list.filter(({ status }) => status === 'RUNNING').length === 1)
  await sleep(800)
  t.equal(running(hpi), 1, 'the first one back gets nothing')
  t.same(places(await job()), places(before))
  const [tum, eth] = [await open('tum'), await open('eth')]
  const after = await until(runs(3))
  t.same(places(after), places(before))
  t.same([running(hpi), running(tum), running(eth)], [1, 1, 1])
  const types = (await events()).map(({ type }) => type)
  t.notOk(types.includes('moving'))
  t.notOk(types.includes('moved'))
})

t.test('who does not come back by the end of the hold is evicted, one after the other', async t => {
  const { clusters, lost, until, open, check } = await startThree(t, { EVICTION_RATE: 1 })
  await Promise.all(clusters.map(cluster => cluster.kill()))
  await eventually(lost, seen => seen.every(Boolean))
  const hpi = await open('hpi')
  const some = await until(job => job.instance_list.filter(entry => entry.status === 'RUNNING').length === 2)
  t.same(some.instance_list.map(entry => entry.cluster_id).filter(id => id === hpi.id).length, 2)
  t.equal(await check('evictions'), '1 cluster to be evicted, so many a minute')
  await sleep(500)
  t.equal(running(hpi), 2, 'one a minute')
})

t.test('with a share of 1 each silent cluster is evicted', async t => {
  const {
    clusters: [hpi, tum, eth],
    until
  } = await startThree(t, { EVICTION_HOLD_SHARE: 1 })
  await Promise.all([tum!.kill(), eth!.kill()])
  const after = await until(
    job => job.status === 'RUNNING' && job.instance_list.every(entry => entry.cluster_id === hpi!.id)
  )
  t.equal(after.instance_list.length, 3)
})
