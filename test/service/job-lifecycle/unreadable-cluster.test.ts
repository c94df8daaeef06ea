import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

t.test('a cluster that cannot be understood is removed by force, and its instances are placed anew', async t => {
  const DATA_DIR = t.testdir()
  const before = await startServer(t, { DATA_DIR })
  const broken = await connectCluster(t, before.url, { cluster_name: 'hpi' })
  broken.send('information', ROOMY)
  const { job_id: job } = (await (await before.fetch('/api/deploy', asYaml(yamlDescriptor()))).json()) as {
    job_id: string
  }
  await broken.take('command')
  await before.close()
  const db = new DatabaseSync(join(DATA_DIR, 'system-manager.db'))
  db.prepare('UPDATE clusters SET warnings = ?').run('{')
  db.close()

  const server = await startServer(t, { DATA_DIR })
  const whole = await connectCluster(t, server.url, { cluster_name: 'tum' })
  whole.send('information', ROOMY)
  const path = `/api/v1/clusters/${broken.id}`
  t.match(await server.json(path), { status: 500, code: 'cluster_unreadable' })
  t.equal((await server.fetch(path, { method: 'DELETE' })).status, 500, 'without force nothing is done')
  t.equal((await server.fetch(`${path}?force=true`, { method: 'DELETE' })).status, 204)
  t.match(await server.json(path), { status: 404, code: 'cluster_not_found' })
  const placed = await eventually(
    () => server.json(`/api/v1/jobs/${job}`) as Promise<Job>,
    ({ instance_list: [instance] }) => instance?.cluster_id === whole.id
  )
  t.match(placed, { status: 'CLUSTER_SCHEDULED' })
})
