import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer, type TestServer } from '../../support/server.js'

const application = (services: number, replicas: number) =>
  `app_name: demo\napp_ns: crowd\nservice_ns: test\nimage: nginx\nreplicas: ${replicas}\nmicroservices:\n` +
  Array.from({ length: services }, (_, i) => `- service_name: s${i}\n`).join('')

async function ask (server: TestServer, path: string, init: RequestInit): Promise<Record<string, unknown>> {
  const answer = await server.fetch(path, init)
  return { ...((await answer.json()) as Record<string, unknown>), status: answer.status }
}

const scale = (server: TestServer, job: string, replicas: number) =>
  ask(server, `/api/v1/jobs/${job}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ replicas })
  })

t.test(
  'one request asks for at most MAX_INSTANCES_PER_REQUEST instances, and takes no address if for more',
  async t => {
    const server = await startServer(t)
    t.match(await ask(server, '/api/v1/applications', asYaml(application(65, 1000))), {
      status: 409,
      code: 'limit_exceeded',
      limit: 5000,
      used: 0,
      asked: 65_000,
      detail: 'One request may ask for 5000 instances, this one for 65000'
    })
    const answer = await server.fetch('/api/deploy', asYaml(application(6, 1000)))
    t.match([answer.status, await answer.text()], [409, /^limit_exceeded: One request may ask for 5000 instances/])
    t.match(await ask(server, '/api/v1/jobs/plan', asYaml(application(6, 1000))), { code: 'limit_exceeded' })
    t.same(await server.store.jobs.used('crowd'), { jobs: 0, addresses: 0 })
    t.match(await ask(server, '/api/v1/applications', asYaml(application(5, 1000))), { status: 201 })
  }
)

t.test('a namespace has at most MAX_ADDRESSES_PER_NAMESPACE addresses, also when many ask at once', async t => {
  const server = await startServer(t, { MAX_ADDRESSES_PER_NAMESPACE: 30 })
  const deploy = (name: string, replicas: number) =>
    ask(server, '/api/v1/jobs', asYaml(yamlDescriptor(name, `replicas: ${replicas}\n`)))
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => deploy(`s${i}`, 4)))
  t.equal(answers.filter(({ status }) => status === 201).length, 6)
  t.match(
    answers.find(({ status }) => status === 409),
    { code: 'limit_exceeded', limit: 30, used: 30, asked: 5 }
  )
  t.same(await server.store.jobs.used('default'), { jobs: 6, addresses: 30 })

  const name = String(answers.find(({ status }) => status === 201)!.job_name)
  t.match(await scale(server, name, 5), { status: 409, code: 'limit_exceeded', limit: 30, used: 30, asked: 1 })
  t.match(await scale(server, name, 2), { status: 200 })
  t.match(await scale(server, name, 4), { status: 200 }, 'what is given back can be taken again')
  t.match(await deploy('s-one-more', 1), { status: 409 })
  const other = yamlDescriptor('s1').replace('app_ns: default', 'app_ns: other')
  t.match(await ask(server, '/api/v1/jobs', asYaml(other)), { status: 201 }, 'another namespace')
  t.match(await ask(server, `/api/v1/jobs/${name}`, { method: 'DELETE' }), { status: 200 })
  t.match(await deploy('s-one-more', 4), { status: 201 }, 'what is undeployed makes room')
  t.match(await deploy(name.split('.')[2]!, 1), { status: 409, asked: 2 }, 'deployed again')
})

t.test('several requests for one job count as the largest of them', async t => {
  const server = await startServer(t, { MAX_ADDRESSES_PER_NAMESPACE: 11, MAX_JOBS_PER_NAMESPACE: 1 })
  const deploy = () => ask(server, '/api/v1/jobs', asYaml(yamlDescriptor('one')))
  t.same(
    new Set((await Promise.all(Array.from({ length: 10 }, deploy))).map(({ status }) => status)),
    new Set([200, 201])
  )
  const scaled = await Promise.all(Array.from({ length: 10 }, () => scale(server, 'demo.default.one.test', 10)))
  t.same(new Set(scaled.map(({ status }) => status)), new Set([200]))
  t.same(await server.store.jobs.used('default'), { jobs: 1, addresses: 11 })
  t.match(await scale(server, 'demo.default.one.test', 11), { status: 409, limit: 11, used: 11, asked: 1 })
})

t.test('a namespace has at most MAX_JOBS_PER_NAMESPACE jobs; those that it has can be changed', async t => {
  const server = await startServer(t, { MAX_JOBS_PER_NAMESPACE: 3 })
  t.match(await ask(server, '/api/v1/applications', asYaml(application(4, 1))), {
    status: 409,
    code: 'limit_exceeded',
    limit: 3,
    used: 0,
    asked: 4,
    detail: 'crowd has 0 jobs of at most 3, the request asks for 4 more'
  })
  t.match(
    await ask(server, '/api/v1/jobs/plan', asYaml(application(4, 1))),
    { status: 409, code: 'limit_exceeded' },
    'planned'
  )
  t.match(await ask(server, '/api/v1/applications', asYaml(application(3, 1))), { status: 201 })
  t.match(await ask(server, '/api/v1/applications', asYaml(application(3, 1))), { status: 200 }, 'the same again')
  t.match(await ask(server, '/api/v1/applications', asYaml(application(3, 2))), { status: 200 }, 'changed')
  t.match(await ask(server, '/api/v1/applications', asYaml(application(4, 2))), { status: 409, used: 3, asked: 1 })
})

t.test('each call for a subnet gives another one, up to SUBNETS_PER_ADDRESS; operators take them back', async t => {
  const server = await startServer(t, { SUBNETS_PER_ADDRESS: 3 })
  const take = async () => {
    const answer = await server.fetch('/api/net/subnet')
    return `${answer.status} ${await answer.text()}`
  }
  t.same(
    [await take(), await take(), await take()],
    ['200 {"subnet_addr":"172.18.0.0"}', '200 {"subnet_addr":"172.18.0.64"}', '200 {"subnet_addr":"172.18.0.128"}']
  )
  t.match(await take(), /^429 subnet_limit: 127.0.0.1 has 3 subnets, and may have 3\n/)
  const { items, next } = await server.json('/api/v1/subnets?limit=2')
  t.match(items, [{ subnet: '172.18.0.0', address: '127.0.0.1', given_at: /^20/ }, { subnet: '172.18.0.64' }])
  t.equal(next, '172.18.0.64')
  t.match(await server.json(`/api/v1/subnets?after=${next}`), { items: [{ subnet: '172.18.0.128' }], next: null })
  const release = async (subnet: string) => {
    const answer = await server.fetch(`/api/v1/subnets/${subnet}`, { method: 'DELETE' })
    return `${answer.status} ${/"code":"(\w+)"/.exec(await answer.text())?.[1] ?? ''}`
  }
  t.equal(await release('172.18.0.64'), '204 ')
  t.equal(await release('172.18.0.64'), '404 subnet_not_found')
  t.equal(await release('172.18.9.0'), '404 subnet_not_found')
  t.equal(await release('hpi'), '400 address_malformed')
  t.equal((await server.fetch('/api/v1/subnets?after=hpi')).status, 400)
  t.match(await take(), /^200 .*172.18.0.192/)
  t.match(await take(), /^429 /)
})
