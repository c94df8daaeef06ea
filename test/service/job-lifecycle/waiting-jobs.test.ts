import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

t.test('jobs that wait for a cluster are not written again while nothing changes but the time', async t => {
  const server = await startServer(t, { PLACEMENT_RETRY_S: 0.05, CLUSTER_GRACE_S: 1, FAILOVER_AFTER_S: 1 })
  const deploy = async (name: string, more = '') =>
    ((await (await server.fetch('/api/deploy', asYaml(yamlDescriptor(name, more)))).json()) as { job_id: string })
      .job_id
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  await eventually(
    () => server.json(`/api/v1/clusters/${cluster.id}`),
    seen => seen.last_heartbeat_at !== null
  )
  cluster.close()
  await eventually(
    () => server.json(`/api/v1/clusters/${cluster.id}`),
    seen => seen.lost_at !== null
  )
  const ids = [
    await deploy('anywhere'),
    await deploy('there', 'cluster_location: mars\n'),
    await deploy('here', 'cluster_location: hpi\n')
  ]
  const jobs = () => Promise.all(ids.map(id => server.json(`/api/v1/jobs/${id}`)))
  const before = await eventually(jobs, found => found.every(({ status_reason: reason }) => reason !== null))
  t.match(before[0].status_reason, /silent since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/)
  await sleep(3000)
  t.same(
    (await jobs()).map(({ revision }) => revision),
    before.map(({ revision }) => revision)
  )
})
