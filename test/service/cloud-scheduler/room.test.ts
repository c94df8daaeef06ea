import t from 'tap'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { callBack } from '../../support/fake-scheduler.js'
import { eventually } from '../../support/waiting.js'
import { startOrchestrator } from './over-http.js'

t.test('room that comes back is a reason to ask at once, and once', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t, { SCHEDULER_CALLBACK_S: 3600 })
  const hpi = await cluster('hpi', { cpu_cores: 0.5 })
  const id = await deploy()
  /** The jobs of all questions so far. Another job goes first: the pass that asks about it sees all the others too. */
  const askedAbout = async (other: string) => {
    const otherId = await deploy(other)
    return await eventually(async () => scheduler.asked.map(({ body }) => body.system_job_id), ids => ids.includes(otherId))
  }
  await scheduler.take()
  await callBack(server.url, { job_id: id, status: 'NoActiveClusterWithCapacity' })
  await until(id, 'NoActiveClusterWithCapacity')
  // Asked again after its back-off, it says nothing: the same verdict, written again, could not be seen.
  await scheduler.take()
  t.equal((await askedAbout('a')).filter(asked => asked === id).length, 2, 'not while there is no room')
  hpi.send('information', ROOMY)
  await eventually(async () => scheduler.asked.filter(({ body }) => body.system_job_id === id).length, count => count === 3)
  t.match(await until(id, 'NoActiveClusterWithCapacity'), { status_reason: /the Cloud Scheduler found no place/ }, 'the verdict stands until the scheduler says otherwise')
  hpi.send('information', { ...ROOMY, cpu_percent: 77 })
  await eventually(() => server.json(`/api/v1/clusters/${hpi.id}`), ({ aggregated_cpu_percent: percent }) => percent === 77)
  t.equal((await askedAbout('b')).filter(asked => asked === id).length, 3, 'it knows of the room by now')
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test(
  'the first heartbeat of a cluster is a reason to ask at once, though the scheduler has not called back',
  async t => {
    const { server, scheduler, deploy, job } = await startOrchestrator(t, { SCHEDULER_CALLBACK_S: 3600 })
    const { id: clusterId, send } = await connectCluster(t, server.url, {
      cluster_name: 'hpi',
      cluster_location: 'hpi'
    })
    const id = await deploy()
    t.equal((await scheduler.take()).body.system_job_id, id, 'asked before the cluster has told its figures')
    await eventually(
      () => job(id),
      ({ status_reason: reason }) => /waiting for the answer/.test(reason)
    )
    send('information', ROOMY)
    t.equal((await scheduler.take()).body.system_job_id, id, 'and again when it has')
    send('information', { ...ROOMY, cpu_percent: 77 })
    await eventually(
      () => server.json(`/api/v1/clusters/${clusterId}`),
      ({ aggregated_cpu_percent: percent }) => percent === 77
    )
    await deploy('other')
    await eventually(
      async () => scheduler.asked.length,
      count => count === 3
    )
    t.equal(scheduler.asked.filter(({ body }) => body.system_job_id === id).length, 2, 'once')
    await callBack(server.url, { job_id: id, cluster_id: clusterId })
    await eventually(
      () => job(id),
      ({ status }) => status === 'CLUSTER_SCHEDULED'
    )
  }
)
