import { Double, ObjectId } from 'mongodb'
import { NEWEST_VERSION } from '../../../schemas/job-versions.js'
import { onMongo, uri } from './on-mongo.js'
import { openedMongo, rawMongo } from './mongo-store.js'
import { aCommand, aJob, on, registered, saved, undeployed, nextSubnet, documentsOf } from './samples.js'

/** What others find in the collections of the contract (section 7), field by field. */

/** Numbers as they are stored: the driver would make one kind of all. */
const RAW = { promoteValues: false }

onMongo('a cluster is stored in the fields and types of the contract, what is ours under system_manager', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id } = await registered(store, 'hpi', 1_769_860_800_000)
  const untold = {
    active_nodes: 0,
    aggregated_cpu_percent: 0,
    aggregated_memory_percent: 0,
    memory_in_mb: 0,
    total_cpu_cores: 0,
    last_modified_timestamp: 0
  }
  const fresh = (await raw.clusters.findOne({}))!
  t.match(
    fresh,
    untold,
    'the Cloud Scheduler computes with them: not one may be null, and no cluster without a heartbeat is a candidate'
  )
  t.ok((await raw.clusters.findOne({}, RAW))!.last_modified_timestamp instanceof Double)
  t.match(
    await store.clusters.get(id),
    { total_cpu_cores: null, memory_in_mb: null, active_nodes: null },
    'to us they are not known'
  )
  const figures = { aggregated_cpu_percent: 12.5, total_cpu_cores: 12, aggregated_memory_percent: 40, memory_in_mb: 24000, active_nodes: 3, technology: ['docker'], more: { gpu: 1 } }
  // A whole second: still a float.
  await store.clusters.heartbeat(id, { ...figures, workers: [], warnings: ['w'] }, 1_769_860_815_000)
  const { system_manager: ours, _id, last_modified_timestamp: timestamp, ...fields } = (await raw.clusters.findOne({}, RAW))!
  t.ok(_id instanceof ObjectId)
  t.ok(timestamp instanceof Double)
  t.equal(Number(timestamp), 1_769_860_815)
  const plain = (await raw.clusters.findOne({}))!
  t.strictSame(Object.fromEntries(Object.keys(fields).map(name => [name, plain[name]])), {
    ip: '10.0.0.1',
    port: '10000',
    clusterinfo: { arch: 'arm64' },
    cluster_location: 'hpi',
    cluster_name: 'hpi',
    nodes: 0,
    ...figures,
    last_modified: new Date(1_769_860_815_000)
  })
  t.match(ours, { warnings: ['w'], workers: [], last_heartbeat_at: '2026-01-31T12:00:15.000Z' })

  const { id: second } = await registered(store, 'tum')
  await store.clusters.heartbeat(second, { total_cpu_cores: 0, warnings: [] }, Date.now())
  t.match(await store.clusters.get(second), { total_cpu_cores: 0, memory_in_mb: null }, 'a 0 that was told is one')
})

onMongo('a pong is a sign of life to us, and none of figures to the Cloud Scheduler', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id } = await registered(store, 'hpi', 1000)
  await store.clusters.heartbeat(id, { warnings: [] }, 2000)
  await store.clusters.touch(id, 9000)
  t.equal((await raw.clusters.findOne({}))!.last_modified_timestamp, 2)
  t.equal((await store.clusters.get(id))!.last_modified_timestamp, 9)
})

onMongo('a job is stored in the fields and types of the contract, what is ours under system_manager', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id: clusterId } = await registered(store)
  const job = await saved(store, aJob({ job_name: 'demo.default.web.test', descriptor: { ...aJob().descriptor, port: '8080:80', environment: { A: '1' }, x_unknown: [1.5, null] } }))
  const placed = await saved(store, on(job, clusterId))
  const { _id, system_manager: ours, instance_list: instances, ...fields } = (await raw.jobs.findOne({}))!
  t.ok(_id instanceof ObjectId)
  t.equal(_id.toHexString(), job.id)
  t.strictSame(fields, {
    ...job.descriptor,
    job_name: 'demo.default.web.test',
    status: 'REQUESTED',
    replicas: 1,
    service_ip_list: [{ IpType: 'RR', Address: '172.30.0.1' }]
  })
  t.match(instances, [{ instance_number: 0, instance_ip: '172.30.0.2', cluster_id: clusterId, namespace_ip: '', host_ip: '', host_port: '', status: 'CLUSTER_SCHEDULED' }])
  t.type(instances[0].cluster_id, 'string')
  t.match(ours, { revision: 2, status: 'REQUESTED', live_name: 'demo.default.web.test', addresses: ['172.30.0.1', '172.30.0.2'], on_the_way: [{ cluster_id: clusterId, cpu: 0.5, memory: 100 }] })
  t.strictSame(JSON.parse(ours!.job), { ...placed, document_version: NEWEST_VERSION })
})

onMongo('what a later descriptor does not have is gone from the document', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const job = await saved(store, aJob({ due_at: '2026-01-31T12:00:00.000Z', descriptor: { ...aJob().descriptor, cmd: ['a'], volumes: 'v' } }))
  const { cmd, ...rest } = job.descriptor
  await saved(store, { ...job, due_at: null, descriptor: rest as typeof job.descriptor })
  const document = (await raw.jobs.findOne({}))!
  t.notOk('cmd' in document)
  t.equal(document.volumes, 'v')
  t.notOk('due_at' in document.system_manager!)
  const last = await saved(store, undeployed((await store.jobs.get(job.id))!))
  const gone = (await raw.jobs.findOne({}))!
  t.match(gone, { status: 'UNDEPLOYED', instance_list: [], service_ip_list: [], system_manager: { undeployed_at: last.updated_at } })
  for (const name of ['addresses', 'live_name', 'unplaced', 'on_the_way']) t.notOk(name in gone.system_manager!, name)
})

onMongo('names of fields that MongoDB refuses cost neither the job nor the heartbeat', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const bad = { $where: 1, 'a.b': 2, 'nul\0': 3, '': 4, inner: { $set: 5, 'com.example.label': 'kept', deep: [{ $x: 1, y: 2 }] }, system_manager: 'mine', _id: 'mine' }
  const job = await saved(store, aJob({ descriptor: { ...aJob().descriptor, ...bad } }))
  t.strictSame(await store.jobs.get(job.id), job, 'nothing is missing from the job')
  t.match(JSON.parse((await documentsOf(store))[0]!), { $where: 1, 'a.b': 2 })
  const document = (await raw.jobs.findOne({}))!
  t.strictSame(document.inner, { 'com.example.label': 'kept', deep: [{ y: 2 }] })
  for (const name of ['$where', 'a.b', 'nul\0', '']) t.notOk(name in document, `"${name}"`)
  await saved(store, { ...job, status: 'FAILED' })
  const { id } = await registered(store)
  t.equal(await store.clusters.heartbeat(id, { more: bad, workers: [{ name: 'a', cpu_cores: 1, memory_in_mb: 1, $x: 1 } as never], warnings: [] }, 5), true)
  t.match((await store.clusters.get(id))!.workers, [{ name: 'a' }])
})

onMongo('counters and free addresses of netcache are four numbers each', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const job = await saved(store, aJob())
  await nextSubnet(store)
  await saved(store, undeployed(job))
  const found = (await raw.net.find({}, { projection: { _id: 0 } }).toArray()).sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
  t.strictSame(found, [
    { type: 'free_service_ip', ipv4: [172, 30, 0, 1] },
    { type: 'free_service_ip', ipv4: [172, 30, 0, 2] },
    { type: 'next_service_ip', ipv4: [172, 30, 0, 3] },
    { type: 'next_subnet_ip', ipv4: [172, 18, 0, 64] }
  ])
})

onMongo('a command stands in the outbox once its job is stored, and no longer in the job', async t => {
  const store = await openedMongo(t, uri)
  const raw = await rawMongo(t, uri)
  const { id } = await registered(store)
  const job = aJob()
  const draft = aCommand(job, id)
  await saved(store, job, { commands: [draft] })
  t.match(await raw.outbox.findOne({}), { _id: draft.command_id, cluster_id: id, seq: 1, kind: 'deploy', job_id: job.id, open: true })
  t.notOk('drafts' in (await raw.jobs.findOne({}))!.system_manager!)
  await store.outbox.ack(id, 1)
  const settled = (await raw.outbox.findOne({}))!
  t.notOk('open' in settled)
  t.ok(settled.settled_at instanceof Date)
})

onMongo('opening again creates no index twice, and the error for one that the data contradict names its collection', async t => {
  const raw = await rawMongo(t, uri)
  const store = await openedMongo(t, uri)
  await openedMongo(t, uri)
  t.ok((await raw.jobs.indexes()).some(({ key, unique, sparse }) => 'system_manager.addresses' in key && unique && sparse))
  await store.close()
  await raw.clusters.dropIndexes()
  await raw.clusters.insertMany([{ _id: new ObjectId(), cluster_name: 'twice' }, { _id: new ObjectId(), cluster_name: 'twice' }])
  await t.rejects(openedMongo(t, uri), { code: 'store_unavailable', message: /clusters\.clusters cannot have the index .*cluster_name/ })
})
