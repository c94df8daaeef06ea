import { Double, ObjectId } from 'mongodb'
import { eventually } from '../../support/waiting.js'
import { onMongo, uri } from './on-mongo.js'
import { keptLog, openedMongo, rawMongo } from './mongo-store.js'
import { aJob, addressesOf, commit, registered, saved, undeployed, nextSubnet, documentsOf } from './samples.js'

/** A database in which the original System Manager left its documents. */

const descriptor = { api_version: 'v0.1', app_name: 'old', app_ns: 'default', service_name: 'web', service_ns: 'test', image: 'nginx', image_runtime: 'docker', port: 80, requirements: { cpu: 1, memory: 100 } }

onMongo('clusters of the original are read, strings and missing fields and all', async t => {
  const raw = await rawMongo(t, uri)
  const [_id, bare] = [new ObjectId(), new ObjectId()]
  const now = Date.now() / 1000
  await raw.clusters.insertMany([
    { _id, cluster_name: 'hpi', ip: '10.1.1.1', port: '10000', nodes: '2', total_cpu_cores: 7.5, technology: 'docker', last_modified: new Date(now * 1000), last_modified_timestamp: new Double(now) },
    { _id: bare, cluster_name: 'bare', ip: '10.1.1.2' },
    { _id: new ObjectId(), aggregated_cpu_percent: 3, last_modified_timestamp: new Double(now) }
  ])
  const store = await openedMongo(t, uri)
  t.match(await store.clusters.get(_id.toHexString()), { id: _id.toHexString(), port: 10000, nodes: 2, total_cpu_cores: 7.5, technology: ['docker'], memory_in_mb: null, cluster_location: null, last_modified_timestamp: now, scheduling: 'active' })
  t.strictSame((await store.clusters.list({})).map(({ cluster_name: name }) => name), ['hpi', 'bare'], 'what never registered is no cluster')
  t.strictSame((await store.clusters.signs()).sort((a, b) => b.last_modified_timestamp - a.last_modified_timestamp), [
    { id: _id.toHexString(), last_modified_timestamp: now, lost: false, evicted: false },
    { id: bare.toHexString(), last_modified_timestamp: 0, lost: false, evicted: false }
  ])
  t.equal(await store.clusters.addNodes(_id.toHexString(), 1), 3, 'a count that was a string')
  t.equal(await store.clusters.addNodes(bare.toHexString(), -4), 0, 'a count that was not there')
  t.equal((await registered(store, 'hpi')).id, _id.toHexString(), 'registering again keeps its id')
})

onMongo('jobs of the original are taken over where they are, with their addresses', async t => {
  const raw = await rawMongo(t, uri)
  const cluster = new ObjectId()
  const [running, fresh, gone] = [new ObjectId(), new ObjectId(), new ObjectId()]
  await raw.jobs.insertMany([
    {
      _id: running,
      ...descriptor,
      job_name: 'old.default.web.test',
      service_ip_list: [{ IpType: 'RR', Address: '172.30.0.0' }],
      status: 'RUNNING',
      instance_list: [{ instance_number: 0, instance_ip: '172.30.0.1', cluster_id: cluster.toHexString(), namespace_ip: '10.18.0.2', host_ip: '192.168.1.1', host_port: 50103 }],
      cluster
    },
    { _id: fresh, ...descriptor, requirements: { cpu: '0.5', memory: 'plenty', gpu: '1' }, service_name: 'api', job_name: 'old.default.api.test', service_ip_list: [{ IpType: 'RR', Address: '172.30.0.2' }], status: 'REQUESTED' },
    { _id: gone, job_name: 'old.default.gone.test', status: 'UNDEPLOYED', service_ip_list: [{ IpType: 'RR', Address: '172.30.0.9' }] }
  ])
  await raw.net.insertMany([{ type: 'next_service_ip', ipv4: [172, 30, 0, 3] }, { type: 'next_subnet_ip', ipv4: [172, 18, 1, 0] }])
  const store = await openedMongo(t, uri)

  const job = (await store.jobs.byName('old.default.web.test'))!
  t.match(job, {
    id: running.toHexString(),
    status: 'RUNNING',
    replicas: 1,
    desired_state: 'running',
    descriptor: { ...descriptor, cluster: cluster.toHexString() },
    instance_list: [
      {
        instance_number: 0,
        instance_ip: '172.30.0.1',
        cluster_id: cluster.toHexString(),
        host_port: 50103,
        status: 'RUNNING',
        original: true,
        told: 'RUNNING'
      }
    ]
  })
  t.equal(
    job.service_ip_list[0]!.Address,
    '172.30.0.0',
    'the original gives out the address of the network itself first: what runs keeps it'
  )
  t.equal((await store.jobs.byAddress('172.30.0.0'))?.id, running.toHexString())
  t.match(await store.jobs.byUnderscoredName('old_default_api_test'), [{ id: fresh.toHexString(), status: 'REQUESTED', descriptor: { requirements: { cpu: 0.5, memory: 'plenty', gpu: '1' } }, instance_list: [{ cluster_id: '', status: 'REQUESTED', instance_ip: /^172\.30\./ }] }])
  t.strictSame((await store.jobs.unplaced({ limit: 9 })).map(({ id }) => id), [fresh.toHexString()])
  t.strictSame((await store.jobs.byAddress('172.30.0.1'))?.id, running.toHexString())
  t.match(await store.jobs.get(gone.toHexString()), { status: 'UNDEPLOYED', desired_state: 'undeployed', instance_list: [], service_ip_list: [] })
  t.equal(await store.jobs.byAddress('172.30.0.9'), undefined)

  t.equal(await nextSubnet(store), '172.18.1.0', 'counters go on where they were')
  const addresses = addressesOf(await saved(store, aJob({ instances: 3 })))
  for (const address of ['172.30.0.1', '172.30.0.2', ...addressesOf(job)]) t.notOk(addresses.includes(address), `${address} is not given twice`)
  const later = await saved(store, { ...job, status: 'FAILED' })
  t.match(await raw.jobs.findOne({ _id: running }), { status: 'FAILED', job_name: 'old.default.web.test', image: 'nginx', cluster: cluster.toHexString() })
  t.equal(later.revision, job.revision + 1)
})

onMongo('of several jobs of one name the newest has it; of two of one address the one that comes first', async t => {
  const raw = await rawMongo(t, uri)
  const [older, newer] = [ObjectId.createFromTime(1_700_000_000), ObjectId.createFromTime(1_700_000_001)]
  const both = { ...descriptor, job_name: 'old.default.web.test', status: 'RUNNING', service_ip_list: [{ IpType: 'RR', Address: '172.30.7.7' }], instance_list: [] }
  await raw.jobs.insertMany([{ _id: older, ...both }, { _id: newer, ...both }])
  const log = keptLog()
  const store = await openedMongo(t, uri, { log })
  t.equal((await store.jobs.byName('old.default.web.test'))!.id, newer.toHexString())
  t.equal((await store.jobs.byAddress('172.30.7.7'))!.id, newer.toHexString())
  t.same(log.warnings, [
    'another job has this name too: this one is found by its id only',
    'another job has this address too: both keep it, and it leads to the other'
  ])
  const orphan = (await store.jobs.get(older.toHexString()))!
  t.equal(orphan.service_ip_list[0]!.Address, '172.30.7.7', 'nothing that runs gets another address')
  t.equal((await commit(store, { ...orphan, status: 'FAILED' })).outcome, 'saved', 'it lives on without the name')
  t.equal((await commit(store, undeployed((await store.jobs.get(newer.toHexString()))!))).outcome, 'saved')
  t.equal(
    (await commit(store, { ...(await store.jobs.get(older.toHexString()))!, status: 'RUNNING' })).outcome,
    'saved'
  )
  t.equal((await store.jobs.byName('old.default.web.test'))!.id, newer.toHexString())
})

onMongo('a job that another program puts there is read at once, and taken over soon', async t => {
  const raw = await rawMongo(t, uri)
  const store = await openedMongo(t, uri)
  const _id = new ObjectId()
  await raw.jobs.insertMany([{ _id, ...descriptor, job_name: 'late.b.c.d', status: 'NODE_SCHEDULED' }, { _id: 'no id of a job' as never, job_name: 'odd.b.c.d', status: 'RUNNING' }])
  t.match(await store.jobs.get(_id.toHexString()), { status: 'NODE_SCHEDULED', job_name: 'late.b.c.d' })
  t.equal((await store.jobs.byName('late.b.c.d'))?.id, _id.toHexString())
  t.equal(await store.jobs.status(_id.toHexString()), 'NODE_SCHEDULED')
  await eventually(() => raw.jobs.findOne({ _id }), found => found?.system_manager !== undefined)
  t.strictSame((await store.jobs.list({})).map(({ job_name: name }) => name), ['late.b.c.d'])
  t.equal((await documentsOf(store)).length, 1)
})

onMongo('addresses that were given back are used again at the end of the range, the original\'s too', async t => {
  const raw = await rawMongo(t, uri)
  await raw.net.insertMany([
    { type: 'next_service_ip', ipv4: [172, 30, 255, 254] }, { type: 'free_service_ip', ipv4: [172, 30, 3, 3] },
    { type: 'next_subnet_ip', ipv4: [172, 30, 0, 0] }, { type: 'free_subnet_ip', ipv4: [172, 18, 0, 64] }
  ])
  const store = await openedMongo(t, uri)
  t.strictSame(addressesOf(await saved(store, aJob())), ['172.30.255.254', '172.30.3.3'])
  const { length } = addressesOf(await saved(store, aJob()))
  t.equal(length, 2, 'and then those that nobody knows of any more: a process may have ended before it used them')
  t.equal(await nextSubnet(store), '172.18.0.64')
  t.equal(await nextSubnet(store), undefined)
})

onMongo('a document that cannot be understood keeps neither the store from starting nor the others from being taken over', async t => {
  const raw = await rawMongo(t, uri)
  const late = Array.from({ length: 150 }, (_, index) => ObjectId.createFromTime(1_700_000_100 + index))
  const good = [ObjectId.createFromTime(1_700_000_000), ObjectId.createFromTime(1_700_009_000)]
  await raw.jobs.insertMany([
    ...late.map(_id => ({ _id, ...descriptor, job_name: 'bad.b.c.d', status: 'RUNNING', system_manager: 'mine' as never })),
    ...good.map((_id, index) => ({ _id, ...descriptor, job_name: `good${index}.b.c.d`, status: 'REQUESTED' }))
  ])
  const log = keptLog()
  const store = await openedMongo(t, uri, { log })
  t.strictSame((await store.jobs.list({})).map(({ job_name: name }) => name), ['good0.b.c.d', 'good1.b.c.d'])
  t.strictSame((await store.jobs.unplaced({ limit: 9 })).map(({ id }) => id), good.map(id => id.toHexString()), 'these are taken over')
  const later = new ObjectId()
  await raw.jobs.insertOne({ _id: later, ...descriptor, job_name: 'later.b.c.d', status: 'REQUESTED' })
  await eventually(() => raw.jobs.findOne({ _id: later }), found => found?.system_manager !== undefined, 20_000)
  t.equal(log.errors.length, late.length, 'each is logged once')
  await t.rejects(store.jobs.get(late[0]!.toHexString()), { code: 'job_unreadable' })
})

onMongo(
  "ids in any form that the original's programs write are understood; what is not is shown and left alone",
  async t => {
    const raw = await rawMongo(t, uri)
    const cluster = new ObjectId()
    const hex = cluster.toHexString()
    const forms: unknown[] = [
      hex,
      cluster,
      `{'$oid': '${hex}'}`,
      { $oid: hex },
      `ObjectId('${hex}')`,
      hex.toUpperCase()
    ]
    const strange: unknown[] = ['cluster-1', 7, `${hex} ${new ObjectId().toHexString()}`, { name: 'hpi' }]
    const entry = {
      instance_number: 0,
      instance_ip: '10.30.0.9',
      namespace_ip: '10.18.0.2',
      host_ip: '192.168.1.1',
      host_port: '50103'
    }
    const inserted = await raw.jobs.insertMany([
      ...[...forms, ...strange].map((id, index) => ({
        _id: new ObjectId(),
        ...descriptor,
        job_name: `old.default.s${index}.test`,
        service_ip_list: [{ IpType: 'RR', Address: `10.30.1.${index}` }],
        status: 'RUNNING',
        instance_list: [{ ...entry, instance_ip: `10.30.0.${index}`, cluster_id: id }]
      })),
      {
        _id: new ObjectId(),
        ...descriptor,
        job_name: 'old.default.beside.test',
        status: 'RUNNING',
        instance_list: [],
        cluster
      },
      {
        _id: new ObjectId(),
        ...descriptor,
        job_name: 'old.default.nowhere.test',
        status: 'RUNNING',
        instance_list: []
      }
    ])
    const log = keptLog()
    const store = await openedMongo(t, uri, { log })
    const jobs = await Promise.all(Object.values(inserted.insertedIds).map(id => store.jobs.get(id.toHexString())))
    for (const [index, job] of jobs.entries()) {
      const isKnown = index < forms.length || job!.job_name === 'old.default.beside.test'
      t.match(
        job,
        {
          status: 'RUNNING',
          instance_list: [{ cluster_id: isKnown ? hex : '', status: 'RUNNING', given_up: !isKnown }],
          status_reason: isKnown ? null : /^runs .*: left alone/
        },
        job!.job_name
      )
      if (index < forms.length + strange.length) {
        t.same(addressesOf(job!), [`10.30.1.${index}`, `10.30.0.${index}`], 'its addresses stay')
      }
    }
    t.same(await store.jobs.unplaced({ limit: 99 }), [], 'none is started anew')
    t.equal((await store.jobs.byAddress('10.30.1.3'))?.id, jobs[3]!.id)
    t.equal((await store.jobs.instancesOn(hex)).length, forms.length + 1)
    t.equal((await commit(store, { ...jobs[0]!, status: 'FAILED' })).outcome, 'saved')
    t.equal(
      (await commit(store, { ...aJob(), service_ip_list: [{ IpType: 'RR', Address: '10.30.9.9' }] })).outcome,
      'address_taken',
      'a new one gets no address from elsewhere'
    )
    t.same(log.errors, [])
  }
)

onMongo('figures that are missing or null become 0 for the Cloud Scheduler, and stay unknown to us', async t => {
  const raw = await rawMongo(t, uri)
  const [_id, agent] = [new ObjectId(), new ObjectId()]
  await raw.clusters.insertOne({
    _id,
    cluster_name: 'hpi',
    ip: '10.1.1.1',
    port: '10000',
    memory_in_mb: null,
    aggregated_cpu_percent: 12.5
  })
  await raw.clusters.insertOne({
    _id: agent,
    cluster_name: 'tum',
    ip: '10.1.1.2',
    port: 10000,
    system_manager: { delivery: 'channel' }
  })
  const store = await openedMongo(t, uri)
  t.match(await raw.clusters.findOne({ _id }), {
    total_cpu_cores: 0,
    memory_in_mb: 0,
    active_nodes: 0,
    aggregated_cpu_percent: 12.5,
    last_modified_timestamp: 0
  })
  t.match(await store.clusters.get(_id.toHexString()), {
    total_cpu_cores: null,
    memory_in_mb: null,
    registered_over: 'socket.io'
  })
  t.equal(
    (await store.clusters.get(agent.toHexString()))?.registered_over,
    'channel',
    'an agent of our channel is none of the original'
  )
})

onMongo('of an undeployed job its clusters are known: they go on reporting it, and its name keeps its id', async t => {
  const raw = await rawMongo(t, uri)
  const [_id, cluster] = [new ObjectId(), new ObjectId()]
  await raw.clusters.insertOne({ _id: cluster, cluster_name: 'hpi', ip: '10.1.1.1', port: '10000' })
  await raw.jobs.insertOne({
    _id,
    ...descriptor,
    job_name: 'old.default.web.test',
    status: 'UNDEPLOYED',
    instance_list: [{ instance_number: 0, cluster_id: cluster.toHexString() }]
  })
  const store = await openedMongo(t, uri)
  t.match(await store.jobs.get(_id.toHexString()), {
    status: 'UNDEPLOYED',
    instance_list: [],
    removals: [{ cluster_id: cluster.toHexString(), told: null }]
  })
  t.equal(await store.jobs.purge(new Date(Date.now() + 3_600_000).toISOString()), 0)
})
