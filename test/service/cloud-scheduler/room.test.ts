import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ROOMY } from '../../support/raw-cluster.js'
import { callBack } from '../../support/fake-scheduler.js'
import { startOrchestrator } from './over-http.js'

t.test('room that comes back is told to the scheduler at once, and once', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t)
  const hpi = await cluster('hpi', { cpu_cores: 0.5 })
  const id = await deploy()
  await scheduler.take()
  await callBack(server.url, { job_id: id, status: 'NoActiveClusterWithCapacity' })
  await until(id, 'NoActiveClusterWithCapacity')
  // Asked again after its rest, it says nothing: the same verdict written once more could not be seen.
  await scheduler.take()
  await sleep(300)
  t.equal(scheduler.asked.length, 2)
  hpi.send('information', ROOMY)
  await scheduler.take()
  t.match(await until(id, 'NoActiveClusterWithCapacity'), { status_reason: /the Cloud Scheduler found no place/ }, 'the verdict stands until the scheduler says otherwise')
  hpi.send('information', ROOMY)
  await sleep(500)
  t.equal(scheduler.asked.length, 3, 'it knows of the room now')
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await until(id, 'CLUSTER_SCHEDULED')
})
