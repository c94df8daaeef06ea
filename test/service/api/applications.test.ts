import t from 'tap'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { startServer, type TestServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

/** Services of shop.default with these names; `more` are further lines beside them. */
const shop = (names: string[], more = '') => `app_name: shop
app_ns: default
service_ns: test
image: docker.io/library/nginx:alpine
requirements: {cpu: 1, memory: 100}
${more}microservices:
${names.map(name => `- service_name: ${name}\n`).join('')}`

const deploy = (server: TestServer, content: string) => server.fetch('/api/deploy', asYaml(content))
const namesOf = async (server: TestServer): Promise<string[]> => (await server.json('/api/v1/jobs?undeployed=false')).items.map(({ job_name: name }: { job_name: string }) => name)

t.test('several services in one file are answered as a list, in the order of the file', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/api/deploy', asForm(`${shop(['web', 'cache'])}---\n${yamlDescriptor()}`))
  t.equal(answer.status, 200)
  const body = await answer.json() as Array<Record<string, unknown>>
  t.match(body, [{ job_name: 'shop.default.web.test' }, { job_name: 'shop.default.cache.test' }, { job_name: 'demo.default.service1.test' }])
  for (const entry of body) t.match(Object.entries(entry), [['job_id', /^[0-9a-f]{24}$/], ['job_name', String], ['status', 'REQUESTED']])
  const again = await (await deploy(server, `${shop(['web', 'cache'])}---\n${yamlDescriptor()}`)).json() as Array<Record<string, unknown>>
  t.same(again.map(({ job_id: id }) => id), body.map(({ job_id: id }) => id), 'the same again changes nothing')
  t.match(await (await deploy(server, shop(['web']))).json(), { job_name: 'shop.default.web.test' }, 'one service is answered as one')
})

t.test('one mistake in one of the services, and none is deployed', async t => {
  const server = await startServer(t)
  const answer = await deploy(server, `${shop(['web'])}---\n${yamlDescriptor().replace('cpu: 1', 'cpu: -1')}`)
  t.equal(answer.status, 400)
  t.match(await answer.text(), /^descriptor_invalid: Document 2, line 18, column 8: [^]*requirements\.cpu \(document 2, line 18, column 8\)/)
  t.same(await namesOf(server), [])
})

t.test('an address that is taken is found before any of the services is deployed', async t => {
  const server = await startServer(t)
  await deploy(server, yamlDescriptor('holder', 'RR_ip: 172.30.9.9\n'))
  const file = `${shop(['a', 'b'])}  RR_ip: 172.30.9.9\n- service_name: c\n`
  const answer = await deploy(server, file)
  t.equal(answer.status, 409)
  t.match(await answer.text(), /^address_taken: 172\.30\.9\.9 belongs to another job/)
  t.same(await namesOf(server), ['demo.default.holder.test'])
  t.equal((await server.json('/api/v1/jobs')).items.length, 1, 'none was even begun')
  await server.fetch('/api/delete/demo.default.holder.test')
  t.equal((await deploy(server, file)).status, 200)
  t.equal((await namesOf(server)).length, 3)
})

t.test('what only the store finds out undoes what was created, and the same file then finishes it', async t => {
  const server = await startServer(t)
  await deploy(server, `${shop(['old', 'holder'])}  RR_ip: 172.30.9.9\n`)
  // Else the verdict of the placement may come between.
  await eventually(() => server.json('/api/v1/applications/shop.default'), ({ status_counts: counts }) => counts.NoActiveClusterWithCapacity === 2)
  // The holder is in the file, so it might be giving the address up; it does not, and the store refuses the thief.
  const file = `${shop(['old', 'new', 'thief'], 'cmd: x\n')}  RR_ip: 172.30.9.9\n- service_name: holder\n`
  const answer = await server.fetch('/api/v1/applications', asYaml(file))
  t.equal(answer.status, 409)
  t.match(await answer.json(), {
    code: 'address_taken',
    detail: '172.30.9.9 belongs to another job: nothing was created; updated, and left so: shop.default.old.test, shop.default.holder.test',
    hint: /Send the same file again to deploy the rest/
  })
  t.same(await namesOf(server), ['shop.default.old.test', 'shop.default.holder.test'])
  t.equal((await server.fetch('/api/v1/applications', asYaml(file.replace('172.30.9.9', '172.30.9.8')))).status, 200)
  t.equal((await namesOf(server)).length, 4)
})

t.test('an application is created, read, extended and deleted as a resource', async t => {
  const server = await startServer(t)
  const created = await server.fetch('/api/v1/applications', asYaml(shop(['web', 'cache'])))
  t.equal(created.status, 201)
  t.equal(created.headers.get('location'), '/api/v1/applications/shop.default')
  t.match(await created.json(), {
    name: 'shop.default', desired_state: 'running', service_count: 2, omitted: 0, services: [{ service_name: 'web', service_ns: 'test', replicas: 1 }, { service_name: 'cache' }]
  })
  t.equal((await server.fetch('/api/v1/applications', asForm(shop(['db'])))).status, 200)
  const seen = await eventually(() => server.json('/api/v1/applications/shop.default'), ({ status_counts: counts }) => counts.NoActiveClusterWithCapacity === 3)
  t.match(seen, { service_count: 3, status: 'NoActiveClusterWithCapacity', status_counts: { NoActiveClusterWithCapacity: 3 }, status_reason: 'shop.default.web.test: no cluster is registered' })
  for (const { href, job_name: name } of seen.services) t.match(await server.json(href), { job_name: name })
  const deleted = await server.fetch('/api/v1/applications/shop.default', { method: 'DELETE' })
  t.equal(deleted.status, 200)
  t.match(await deleted.json(), { desired_state: 'undeployed', status: 'UNDEPLOYED', status_counts: { UNDEPLOYED: 3 } })
  for (const method of ['GET', 'DELETE']) t.match(await (await server.fetch('/api/v1/applications/shop.default', { method })).json(), { status: 404, code: 'application_not_found' })
})

t.test('the status of an application is that of its worst service, and it is gone when its clusters have confirmed', async t => {
  const server = await startServer(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi' })
  cluster.send('information', ROOMY)
  await deploy(server, `${shop(['web', 'cache'])}- service_name: greedy\n  requirements: {cpu: 17}\n`)
  const first = await cluster.take('command')
  cluster.send('ack', { seq: (await cluster.take('command')).seq })
  cluster.send('information', { ...ROOMY, jobs: [{ system_job_id: first.job_id, status: 'RUNNING' }] })
  t.match(await eventually(() => server.json('/api/v1/applications/shop.default'), ({ status_counts: counts }) => counts.RUNNING === 1), {
    status: 'NoActiveClusterWithCapacity',
    status_reason: /^shop\.default\.greedy\.test: hpi: 1[46] cores free of 17 asked$/,
    status_counts: { RUNNING: 1, CLUSTER_SCHEDULED: 1, NoActiveClusterWithCapacity: 1 }
  })
  await server.fetch('/api/delete/shop.default.greedy.test')
  t.match(await server.json('/api/v1/applications/shop.default'), { service_count: 2, status: 'CLUSTER_SCHEDULED' })

  const deleted = await server.fetch('/api/v1/applications/shop.default', { method: 'DELETE' })
  t.equal(deleted.status, 202)
  t.match(await deleted.json(), { desired_state: 'undeployed', status_reason: /being removed/ })
  t.equal((await server.fetch('/api/v1/applications/shop.default', { method: 'DELETE' })).status, 202, 'asked again')
  for (let i = 0; i < 2; i++) cluster.send('ack', { seq: (await cluster.take('command')).seq })
  await eventually(async () => (await server.fetch('/api/v1/applications/shop.default')).status, status => status === 404)
})

t.test('every error of applications is a problem with a stable code', async t => {
  const server = await startServer(t)
  const refusals: Array<[string, RequestInit, number, string]> = [
    ['/api/v1/applications/shop', {}, 400, 'application_ref_malformed'],
    ['/api/v1/applications/a.b.c', { method: 'DELETE' }, 400, 'application_ref_malformed'],
    ['/api/v1/applications/no.such', {}, 404, 'application_not_found'],
    ['/api/v1/applications', { method: 'POST' }, 400, 'descriptor_missing'],
    ['/api/v1/applications', asYaml('microservices: []'), 400, 'descriptor_invalid'],
    ['/api/v1/applications', asYaml(`${shop(['a'])}---\n${yamlDescriptor()}`), 400, 'descriptor_invalid'],
    ['/api/v1/jobs', asYaml(shop(['a', 'b'])), 400, 'descriptor_invalid']
  ]
  for (const [path, init, status, code] of refusals) {
    const answer = await server.fetch(path, init)
    t.equal(answer.status, status, path)
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/, path)
    t.match(await answer.json(), { status, code, title: /\w/, detail: /\w/ }, path)
  }
  t.same(await namesOf(server), [])
})

t.test('a hundred services of one file are deployed together, each with addresses of its own', async t => {
  const server = await startServer(t)
  const names = Array.from({ length: 100 }, (_, i) => `s${i}`)
  t.equal((await server.fetch('/api/v1/applications', asYaml(shop(names, 'replicas: 2\n')))).status, 201)
  const { items } = await server.json('/api/v1/jobs?app_name=shop&app_ns=default')
  t.same(items.map(({ descriptor }: { descriptor: { service_name: string } }) => descriptor.service_name), names)
  const addresses = items.flatMap((job: any) => [job.service_ip_list[0].Address, ...job.instance_list.map(({ instance_ip: ip }: { instance_ip: string }) => ip)])
  t.equal(new Set(addresses).size, 300)
})
