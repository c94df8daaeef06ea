import t from 'tap'
import type { ApplicationService } from '../../../schemas/application.js'
import type { Job } from '../../../schemas/job.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

t.test('what is being removed is UNDEPLOYING in every view, and gone at once with force', async t => {
  const server = await startServer(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  const ids: string[] = []
  for (const name of ['one', 'two']) {
    const answer = await server.fetch('/api/deploy', asYaml(yamlDescriptor(name)))
    ids.push(((await answer.json()) as { job_id: string }).job_id)
    await cluster.take('command')
  }
  const remove = async (path: string) => {
    const answer = await server.fetch(path, { method: 'DELETE' })
    return { status: answer.status, body: (await answer.json()) as Pick<Job, 'status'> }
  }
  t.match(await remove(`/api/v1/jobs/${ids[0]}`), { status: 202, body: { status: 'UNDEPLOYING' } })
  t.match((await cluster.take('command')).kind, 'delete')
  t.match(await server.json(`/api/v1/jobs/${ids[0]}`), { status: 'UNDEPLOYING', service_ip_list: [{}] })
  t.match((await server.json('/api/v1/jobs?status=UNDEPLOYING')).items, [{ id: ids[0] }])
  t.match(await server.text(`/api/job/status/${ids[0]}`), 'UNDEPLOYING')
  const documents = await server.json('/api/jobs')
  t.match(
    documents.find(({ _id }: { _id: { $oid: string } }) => _id.$oid === ids[0]),
    { status: 'UNDEPLOYING' }
  )
  const { services } = await server.json('/api/v1/applications/demo.default')
  t.match(
    services.find(({ job_id: id }: ApplicationService) => id === ids[0]),
    { status: 'UNDEPLOYING' }
  )

  t.match(await remove(`/api/v1/jobs/${ids[0]}?force=true`), {
    status: 200,
    body: { status: 'UNDEPLOYED', service_ip_list: [] }
  })
  t.match(await remove('/api/v1/jobs/x?force=perhaps'), { status: 400 })
  t.match(await remove('/api/v1/applications/demo.default?force=true'), { status: 200 })
  t.match(await server.json(`/api/v1/jobs/${ids[1]}`), { status: 'UNDEPLOYED', retiring: [{ released: true }] })
  const command = await cluster.take('command')
  t.match(command, { kind: 'delete', job_id: ids[1] }, 'the cluster is to remove it all the same')
  cluster.send('ack', { seq: command.seq })
  await eventually(
    () => server.json(`/api/v1/jobs/${ids[1]}`),
    ({ retiring }) => retiring.length === 0
  )
})
