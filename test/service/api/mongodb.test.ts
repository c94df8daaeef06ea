import { ObjectId } from 'mongodb'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'
import { onMongo, uri } from '../stores/on-mongo.js'
import { rawMongo } from '../stores/mongo-store.js'

/**
 * The server on the MongoDB store, over the whole of the contract's API; the database is the emulator (docs/database.md),
 * or the server of MONGO_URI.
 */

const NAME = 'demo.default.service1.test'

onMongo('from deploy to RUNNING and to UNDEPLOYED, with what the original\'s neighbours read in the database', async t => {
  const server = await startServer(t, { MONGO_URI: uri })
  const raw = await rawMongo(t, uri)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'hpi' })
  cluster.send('information', ROOMY)
  await eventually(() => raw.clusters.findOne({}), found => found?.total_cpu_cores === ROOMY.cpu_cores)
  t.match(await server.json('/api/clusters'), [{ _id: { $oid: cluster.id }, cluster_name: 'hpi', last_modified: { $date: /^\d{4}-/ } }])
  t.equal(await server.text('/api/clusters/count'), '1')

  const { job_id: id } = await (await server.fetch('/api/deploy', asForm(yamlDescriptor()))).json() as { job_id: string }
  t.match(await cluster.take('command'), { seq: 1, kind: 'deploy', job: { _id: id, job_name: NAME } })
  cluster.send('ack', { seq: 1 })
  cluster.send('result', { job_id: id, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.1.9', host_port: 50103 }] })
  cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: id, status: 'RUNNING' }] })
  await eventually(() => server.text(`/api/job/status/${NAME}`), text => text === 'RUNNING\n')
  t.match(await raw.jobs.findOne({ _id: new ObjectId(id) }), {
    job_name: NAME, status: 'RUNNING', image: /nginx/, instance_list: [{ cluster_id: cluster.id, namespace_ip: '10.18.0.2', host_port: '50103' }]
  })
  t.match(await server.json('/api/jobs'), [{ _id: { $oid: id }, status: 'RUNNING' }])
  const { service_ip_list: [service] } = (await server.json('/api/jobs'))[0]
  t.match(await server.json(`/api/job/ip/${service.Address.replaceAll('.', '_')}/instances`), { job_name: NAME })
  t.match(await server.json('/api/job/demo_default_service1_test/instances'), { job_name: NAME, instance_list: [{ instance_ip: /^172\.30\./ }] })
  t.match(await server.json('/api/net/subnet'), { subnet_addr: '172.18.0.0' })
  t.equal(await server.text(`/api/cluster/${cluster.id}/incr_node`), 'ok')
  t.match(await raw.clusters.findOne({}), { nodes: 1 })

  t.equal(await server.text(`/api/delete/${NAME}`), 'ok\n')
  t.match(await cluster.take('command'), { seq: 2, kind: 'delete' })
  cluster.send('ack', { seq: 2 })
  await eventually(() => raw.jobs.findOne({}), found => found?.status === 'UNDEPLOYED')
  t.match((await server.json(`/api/v1/jobs/${id}/events`)).items.map(({ type }: { type: string }) => type), ['deployed'])
})

onMongo('a status that a Cloud Scheduler writes is shown, and the job is placed when there is room', async t => {
  const server = await startServer(t, { MONGO_URI: uri, PLACEMENT_RETRY_S: 3600 })
  const raw = await rawMongo(t, uri)
  const { job_id: id } = await (await server.fetch('/api/deploy', asYaml(yamlDescriptor()))).json() as { job_id: string }
  await eventually(() => server.json(`/api/v1/jobs/${id}`), seen => seen.status === 'NoActiveClusterWithCapacity')
  await raw.jobs.updateOne({ _id: new ObjectId(id) }, { $set: { status: 'TargetClusterNotActive' } })
  t.equal(await server.text(`/api/job/status/${id}`), 'TargetClusterNotActive\n')
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  t.match(await cluster.take('command'), { kind: 'deploy', job_id: id })
})

onMongo('two servers on one database: changes through one are visible through the other', async t => {
  const [one, other] = [await startServer(t, { MONGO_URI: uri }), await startServer(t, { MONGO_URI: uri, DATA_DIR: t.testdir({ other: {} }) })]
  const { job_id: id } = await (await one.fetch('/api/deploy', asYaml(yamlDescriptor()))).json() as { job_id: string }
  t.match(await other.json('/api/jobs'), [{ _id: { $oid: id } }])
  t.match(await (await other.fetch('/api/deploy', asYaml(yamlDescriptor()))).json(), { job_id: id })
  await other.fetch(`/api/delete/${id}`)
  await eventually(() => one.json(`/api/v1/jobs/${id}`), seen => seen.status === 'UNDEPLOYED')
})

onMongo('a descriptor and a heartbeat with names that MongoDB refuses are taken', async t => {
  const server = await startServer(t, { MONGO_URI: uri })
  const answer = await server.fetch('/api/deploy', asYaml(yamlDescriptor('service1', 'environment: {"$where": 1, "a.b": 2}\n"$set": 4\n"x.y": 5\n')))
  t.equal(answer.status, 200)
  t.match(await server.json('/api/jobs'), [{ environment: { $where: 1, 'a.b': 2 }, $set: 4, 'x.y': 5 }])
  const cluster = await connectCluster(t, server.url, { cluster_name: '$hpi', cluster_info: { $x: 1 } })
  const beat = await server.fetch(`/api/information/${cluster.id}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"more": {"$gt": "", "a": 1}, "cpu_cores": 1}' })
  t.equal(beat.status, 200)
  t.match(await server.json('/api/clusters'), [{ more: { a: 1 } }])
})
