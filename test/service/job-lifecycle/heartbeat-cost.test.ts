import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import systemManager, { serverOptions } from '../../../app.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster } from '../../support/raw-cluster.js'
import { eventually } from '../../support/waiting.js'

const JOBS = 100

t.test('a heartbeat that changes nothing writes no job, and one that changes 100 jobs writes them in one batch', async t => {
  const server = Fastify(serverOptions)
  // Without encapsulation, to look at the store.
  await server.register(fp(systemManager), { config: { DATA_DIR: t.testdir() }, env: {} })
  await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  const cluster = await connectCluster(t, url, { cluster_name: 'hpi' })
  cluster.send('information', { cpu_cores: 1000, cumulative_memory_in_mb: 1e6, number_of_nodes: 10, technology: ['docker'] })
  await Promise.all(Array.from({ length: JOBS }, (_, i) => fetch(`${url}/api/deploy`, asYaml(yamlDescriptor(`s${i}`)))))
  const told: string[] = []
  while (told.length < JOBS) {
    const { seq, job_id } = await cluster.take('command')
    cluster.send('ack', { seq })
    told.push(job_id)
  }

  const { jobs } = server.store
  const batches: number[] = []
  const commit = jobs.commit
  jobs.commit = changes => {
    batches.push(changes.length)
    return commit(changes)
  }
  const beat = async (status: string): Promise<number[]> => {
    batches.length = 0
    const answer = await fetch(`${url}/api/information/${cluster.id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ cpu_percent: 12, jobs: told.map(system_job_id => ({ system_job_id, status })) })
    })
    t.equal(await answer.text(), 'ok')
    return [...batches]
  }

  t.same(await beat('RUNNING'), [JOBS])
  t.same(await beat('RUNNING'), [], 'said again')
  t.same(await beat('CREATED'), [], 'a late message')
  t.same(await beat('DEAD'), [JOBS])
  const seen = await eventually(() => fetch(`${url}/api/jobs`).then(answer => answer.json()) as Promise<Array<{ status: string }>>, jobs => jobs.length === JOBS)
  t.same(new Set(seen.map(({ status }) => status)), new Set(['DEAD']))
})
