import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer, type TestServer } from '../../support/server.js'

async function deploy (server: TestServer, name = 'service1', more = ''): Promise<string> {
  const answer = await server.fetch('/api/deploy', asYaml(yamlDescriptor(name, more)))
  return (await answer.json() as { job_id: string }).job_id
}

t.test('the status of a job is plain text, found by id, by name, and by name with underscores', async t => {
  const server = await startServer(t)
  const id = await deploy(server)
  for (const ref of [id, 'demo.default.service1.test', 'demo_default_service1_test']) {
    const answer = await server.fetch(`/api/job/status/${ref}`)
    t.equal(answer.status, 200, ref)
    t.match(answer.headers.get('content-type'), /^text\/plain/)
    t.match(await answer.text(), /^(REQUESTED|NoActiveClusterWithCapacity)\n$/)
  }
  const answer = await server.fetch(`/api/job/status/${id}`, { headers: { accept: 'application/json' } })
  t.match(answer.headers.get('content-type'), /^application\/json/)
  t.match(await answer.json(), { job_id: id, job_name: 'demo.default.service1.test', status: /\w+/ })
})

t.test('a service name that holds an underscore is found in both readings', async t => {
  const server = await startServer(t)
  const id = await deploy(server, 'my_service')
  for (const ref of ['demo.default.my_service.test', 'demo_default_my_service_test']) {
    t.match(await server.json(`/api/v1/jobs/${ref}`), { id })
    t.match(await server.json(`/api/job/${ref}/instances`), { job_name: 'demo.default.my_service.test', instance_list: [{ instance_number: 0 }] })
  }
})

t.test('a name that can mean two jobs is not guessed at', async t => {
  const server = await startServer(t)
  await deploy(server, 'a_b')
  await server.fetch('/api/deploy', asYaml(yamlDescriptor('a').replace('service_ns: test', 'service_ns: b_test')))
  t.equal((await server.fetch('/api/job/status/demo.default.a_b.test')).status, 200)
  const answer = await server.fetch('/api/delete/demo_default_a_b_test')
  t.equal(answer.status, 409)
  t.match(await answer.text(), /^job_name_ambiguous/)
})

t.test('unknown jobs are 404, what can be no job is 400', async t => {
  const server = await startServer(t)
  for (const path of ['/api/job/status/', '/api/delete/']) {
    for (const unknown of ['ffffffffffffffffffffffff', 'no.such.job.here', 'no_such_job_here']) {
      const answer = await server.fetch(path + unknown)
      t.equal(answer.status, 404, unknown)
      t.match(await answer.text(), /^job_not_found/)
    }
    for (const malformed of ['42', 'zzz', 'a.b', '%24where', 'a'.repeat(25), '..%2f..%2fetc']) {
      const answer = await server.fetch(path + malformed)
      t.equal(answer.status, 400, malformed)
      t.match(await answer.text(), /^job_ref_malformed/)
    }
  }
})

t.test('the list of jobs holds documents of the contract', async t => {
  const server = await startServer(t)
  const id = await deploy(server, 'service1', 'x-own: {kept: [1, two]}\n')
  const [document, ...others] = await server.json('/api/jobs')
  t.same(others, [])
  t.match(document, {
    _id: { $oid: id },
    job_name: 'demo.default.service1.test',
    app_name: 'demo',
    image: 'docker.io/library/nginx:alpine',
    port: 80,
    requirements: { cpu: 1, memory: 100 },
    'x-own': { kept: [1, 'two'] },
    replicas: 1,
    service_ip_list: [{ IpType: 'RR', Address: /^172\.30\./ }],
    instance_list: [{ instance_number: 0, instance_ip: /^172\.30\./, cluster_id: '', namespace_ip: '', host_ip: '', host_port: '' }]
  })
  t.same(Object.keys(document._id), ['$oid'])
})

t.test('a job that is nowhere is undeployed at once, by GET and by DELETE, and its addresses are free', async t => {
  const server = await startServer(t)
  for (const method of ['GET', 'DELETE']) {
    const id = await deploy(server)
    const answer = await server.fetch('/api/delete/demo.default.service1.test', { method })
    t.equal(answer.status, 200)
    t.equal(await answer.text(), 'ok\n')
    t.equal(await server.text(`/api/job/status/${id}`), 'UNDEPLOYED\n')
    t.match(await server.json(`/api/v1/jobs/${id}`), { service_ip_list: [], instance_list: [] })
    t.same(await server.json('/api/jobs'), [])
    t.equal((await server.fetch(`/api/delete/${id}`, { method })).status, 200, 'asking again is fine')
  }
})

t.test(
  'after a delete the name keeps its id: deployed again it is the same job, and answered as a new one',
  async t => {
    const server = await startServer(t)
    const first = await deploy(server)
    await server.fetch(`/api/delete/${first}`)
    t.equal(await deploy(server), first)
    t.match(await server.json('/api/v1/jobs/demo.default.service1.test'), {
      id: first,
      generation: 2,
      desired_state: 'running'
    })
    await server.fetch(`/api/delete/${first}`)
    const again = await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor('service1', 'replicas: 2\n')))
    t.equal(again.status, 201)
    t.equal(again.headers.get('location'), `/api/v1/jobs/${first}`)
    const job = (await again.json()) as { revisions: unknown[]; instance_list: unknown[]; service_ip_list: unknown[] }
    t.equal(job.instance_list.length, 2)
    t.equal(job.service_ip_list.length, 1)
    t.equal(job.revisions.length, 1, 'the descriptor before is kept, once')
  }
)

t.test('clusters look instances up by name and by either address; what is unknown has none yet', async t => {
  const server = await startServer(t)
  const job = await server.json(`/api/v1/jobs/${await deploy(server)}`)
  const expected = { job_name: 'demo.default.service1.test', service_ip_list: job.service_ip_list, instance_list: [{ instance_number: 0, instance_ip: job.instance_list[0].instance_ip }] }
  t.match(await server.json('/api/job/demo_default_service1_test/instances'), expected)
  for (const address of [job.service_ip_list[0].Address, job.instance_list[0].instance_ip]) {
    t.match(await server.json(`/api/job/ip/${String(address).replaceAll('.', '_')}/instances`), expected)
  }
  t.same(await server.json('/api/job/no_such_job_here/instances'), { instance_list: [], service_ip_list: [], job_name: 'no_such_job_here' })
  t.same(await server.json('/api/job/whatever/instances'), { instance_list: [], service_ip_list: [], job_name: 'whatever' })
  t.same(await server.json('/api/job/ip/172_30_200_200/instances'), { instance_list: [], service_ip_list: [], job_name: '' })
  t.equal((await server.fetch('/api/job/ip/999_1_1_1/instances')).status, 400)
})

t.test('subnets of 64 addresses are given out one after the other, each once', async t => {
  const server = await startServer(t)
  t.same(await server.json('/api/net/subnet'), { subnet_addr: '172.18.0.0' })
  t.same(await server.json('/api/net/subnet'), { subnet_addr: '172.18.0.64' })
  const more = await Promise.all(Array.from({ length: 50 }, () => server.json('/api/net/subnet')))
  t.equal(new Set(more.map(({ subnet_addr }) => subnet_addr)).size, 50)
  t.ok(more.some(({ subnet_addr }) => subnet_addr === '172.18.12.192'))
})

t.test('the small texts of the contract', async t => {
  const server = await startServer(t)
  t.equal(await server.text('/status'), 'ok')
  t.equal(await server.text('/api/feedback'), 'ok')
  t.match(await server.text('/'), /System Manager/)
})
