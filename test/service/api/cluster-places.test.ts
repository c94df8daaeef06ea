import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

const HEARTBEAT = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(ROOMY) }

t.test('a cluster is named by its id, its name or its location on every route', async t => {
  const server = await startServer(t)
  const { id } = await connectCluster(t, server.url, { cluster_name: 'Straße 1', cluster_location: 'Potsdam' })
  for (const [place, what] of [
    [id, 'id'],
    [encodeURIComponent('Straße 1'), 'name'],
    ['Potsdam', 'location']
  ] as const) {
    const get = async (path: string) => {
      const answer = await server.fetch(path)
      t.equal(answer.status, 200, `${path}, by its ${what}`)
      return await answer.text()
    }
    const view = async () => JSON.parse(await get(`/api/v1/clusters/${place}`))
    t.match(await view(), { id, cluster_name: 'Straße 1' })
    t.equal((await server.fetch(`/api/information/${place}`, HEARTBEAT)).status, 200)
    t.match(JSON.parse(await get(`/api/v1/clusters/${place}/nodes`)), { items: [], counted: ROOMY.number_of_nodes })
    for (const [action, scheduling] of [
      ['cordon', 'cordoned'],
      ['drain', 'draining'],
      ['uncordon', 'active']
    ]) {
      t.equal((await server.fetch(`/api/v1/clusters/${place}/${action}`, { method: 'POST' })).status, 200)
      t.match(await view(), { scheduling })
    }
    await get(`/api/cluster/${place}/nodes/5`)
    await get(`/api/cluster/${place}/incr_node`)
    await get(`/api/cluster/${place}/decr_node`)
    t.match(await view(), { nodes: 5 })
  }
  await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))
  const jobsAt = async (place: string): Promise<Job[]> => (await server.json(`/api/v1/jobs?cluster_id=${place}`)).items
  await eventually(
    () => jobsAt('Potsdam'),
    jobs => jobs.length === 1
  )
  for (const place of [id, 'Stra%C3%9Fe%201']) t.equal((await jobsAt(place)).length, 1)
  t.equal((await server.fetch('/api/v1/clusters/Potsdam', { method: 'DELETE' })).status, 409, 'a job is placed there')
  t.equal((await server.fetch('/api/v1/clusters/Potsdam?force=true', { method: 'DELETE' })).status, 204)
  t.same(await server.json('/api/v1/clusters?limit=10'), { items: [], next: null })
})

t.test('a name goes before a location, and a location of several is no name for one of them', async t => {
  const server = await startServer(t)
  const hpi = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'Potsdam' })
  const tum = await connectCluster(t, server.url, { cluster_name: 'tum', cluster_location: 'hpi' })
  const eth = await connectCluster(t, server.url, { cluster_name: 'eth', cluster_location: 'Potsdam' })
  t.match(await server.json('/api/v1/clusters/hpi'), { id: hpi.id })
  for (const [path, init] of [
    ['/api/v1/clusters/Potsdam', {}],
    ['/api/v1/clusters/Potsdam/nodes', {}],
    ['/api/v1/clusters/Potsdam/drain', { method: 'POST' }],
    ['/api/v1/clusters/Potsdam?force=true', { method: 'DELETE' }],
    ['/api/v1/jobs?cluster_id=Potsdam', {}],
    ['/api/cluster/Potsdam/incr_node', {}],
    ['/api/information/Potsdam', HEARTBEAT]
  ] as const) {
    const answer = await server.fetch(path, init)
    t.equal(answer.status, 409, path)
    t.match(await answer.text(), /cluster_location_ambiguous[^]*2 clusters are at Potsdam[^]*hpi, eth/)
  }
  for (const { id } of [hpi, tum, eth]) {
    t.match(await server.json(`/api/v1/clusters/${id}`), { scheduling: 'active', nodes: 0 })
  }
})
