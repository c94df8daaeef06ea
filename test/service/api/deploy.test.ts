import t from 'tap'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

t.test('a descriptor sent by curl as a file is deployed, and the answer names the job', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/api/deploy', asForm(yamlDescriptor()))
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^application\/json/)
  const body = await answer.json() as Record<string, unknown>
  t.same(Object.keys(body), ['job_id', 'job_name', 'status'])
  t.match(body, { job_id: /^[0-9a-f]{24}$/, job_name: 'demo.default.service1.test', status: 'REQUESTED' })
  t.match(await server.json(`/api/v1/jobs/${String(body.job_id)}`), { job_name: body.job_name, descriptor: { port: 80, requirements: { cpu: 1 } } })
})

t.test('YAML and JSON bodies are taken too', async t => {
  const server = await startServer(t)
  for (const type of ['application/yaml', 'text/yaml', 'application/x-yaml']) {
    const name = type.replaceAll(/\W/g, '-')
    const answer = await server.fetch('/api/deploy', { method: 'POST', headers: { 'content-type': type }, body: yamlDescriptor(name) })
    t.equal(answer.status, 200, type)
    t.match(await answer.json(), { job_name: `demo.default.${name}.test` })
  }
  const json = { api_version: 'v0.1', app_name: 'demo', app_ns: 'default', service_name: 'json', service_ns: 'test', image: 'nginx', image_runtime: 'docker' }
  const answer = await server.fetch('/api/deploy', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) })
  t.match(await answer.json(), { job_name: 'demo.default.json.test' })
})

t.test('a file field without a file name counts as the file (curl -F "file=<deploy.yaml")', async t => {
  const server = await startServer(t)
  const body = new FormData()
  body.set('file', yamlDescriptor())
  t.equal((await server.fetch('/api/deploy', { method: 'POST', body })).status, 200)
})

t.test('an invalid descriptor gets a 4xx that shows what is wrong, and where', async t => {
  const server = await startServer(t)
  const refusals: Array<[string, RequestInit, number, RegExp]> = [
    ['nothing', { method: 'POST' }, 400, /^descriptor_missing: .*\n {2}hint: .*curl -F file=@deploy.yaml/],
    ['a part of another name', asForm(yamlDescriptor(), 'upload'), 400, /^descriptor_missing/],
    ['a form without a file', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }, 400, /^descriptor_missing/],
    ['an empty file', asForm(''), 400, /^descriptor_missing/],
    ['a broken multipart body', { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x\r\nContent-Disp' }, 400, /^bad_request: The multipart body cannot be read/],
    ['a multipart type without a boundary', { method: 'POST', headers: { 'content-type': 'multipart/form-data' }, body: 'x' }, 400, /^bad_request/],
    ['no YAML', asForm('a: b: c\n'), 400, /^descriptor_unreadable: .*/],
    ['a duplicate key', asForm(yamlDescriptor('service1', 'port: 81\n')), 400, /^descriptor_unreadable: [^]*line 12/],
    ['a dot in a name', asForm(yamlDescriptor('my.service')), 400, /^descriptor_invalid: [^]*service_name \(line 4, column 15\)/],
    ['a negative number', asForm(yamlDescriptor().replace('cpu: 1', 'cpu: -1')), 400, /requirements\.cpu \(line 10, column 8\): expected .* 0.*-1/],
    ['more than 1 MiB as a file', asForm('#' + 'x'.repeat(1024 * 1024)), 413, /^body_too_large/],
    ['more than 1 MiB as a body', asYaml('#' + 'x'.repeat(1024 * 1024)), 413, /^body_too_large/]
  ]
  for (const [what, init, status, text] of refusals) {
    const answer = await server.fetch('/api/deploy', init)
    t.equal(answer.status, status, what)
    t.match(answer.headers.get('content-type'), /^text\/plain/, what)
    t.match(await answer.text(), text, what)
  }
  t.same(await server.json('/api/jobs'), [], 'none of them left a job')
})

t.test('a client that wants JSON gets the error as a problem', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/api/deploy', { ...asForm(yamlDescriptor('my.service')), headers: { accept: 'application/json' } })
  t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
  t.match(await answer.json(), { status: 400, code: 'descriptor_invalid', violations: [{ field: 'service_name', line: 4, column: 15 }] })
})

t.test('the same descriptor again changes nothing, another one updates the job in place', async t => {
  const server = await startServer(t)
  const deploy = async (content: string) => (await server.fetch('/api/deploy', asYaml(content))).json() as Promise<{ job_id: string }>
  const first = await deploy(yamlDescriptor())
  const before = await server.json(`/api/v1/jobs/${first.job_id}`)
  t.equal((await deploy(yamlDescriptor())).job_id, first.job_id)
  t.equal((await server.json(`/api/v1/jobs/${first.job_id}`)).generation, before.generation)
  t.equal((await deploy(yamlDescriptor().replace('alpine', 'latest'))).job_id, first.job_id)
  const after = await server.json(`/api/v1/jobs/${first.job_id}`)
  t.match(after, { generation: 2, descriptor: { image: /latest$/ }, service_ip_list: before.service_ip_list })
  t.equal((await server.json('/api/jobs')).length, 1)
})

t.test('64 users who deploy the same new name at once get one job', async t => {
  const server = await startServer(t)
  const answers = await Promise.all(Array.from({ length: 64 }, async () => (await server.fetch('/api/deploy', asYaml(yamlDescriptor()))).json() as Promise<{ job_id: string }>))
  t.equal(new Set(answers.map(({ job_id }) => job_id)).size, 1)
})

t.test('64 users who deploy different content under one name at once all succeed, and the last write is kept', async t => {
  const server = await startServer(t)
  const answers = await Promise.all(Array.from({ length: 64 }, (_, i) => server.fetch('/api/deploy', asYaml(yamlDescriptor('service1', `environment: v${i}\n`)))))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.match((await server.json('/api/v1/jobs/demo.default.service1.test')), { generation: 64 })
})

t.test('200 concurrent deploys of three instances each lease 800 different addresses', async t => {
  const server = await startServer(t)
  await Promise.all(Array.from({ length: 200 }, (_, i) => server.fetch('/api/deploy', asYaml(yamlDescriptor(`s${i}`, 'replicas: 3\n')))))
  const jobs = await server.json('/api/jobs') as Array<{ service_ip_list: Array<{ Address: string }>, instance_list: Array<{ instance_ip: string }> }>
  const addresses = jobs.flatMap(job => [...job.service_ip_list.map(({ Address }) => Address), ...job.instance_list.map(({ instance_ip }) => instance_ip)])
  t.equal(addresses.length, 800)
  t.equal(new Set(addresses).size, 800)
  for (const address of addresses) t.match(address, /^172\.30\.\d+\.\d+$/)
})

t.test('a requested service address is leased if free, refused clearly if not, and free again after the delete', async t => {
  const server = await startServer(t)
  const request = 'RR_ip: 172.30.77.7\n'
  t.equal((await server.fetch('/api/deploy', asYaml(yamlDescriptor('one', request)))).status, 200)
  t.same((await server.json('/api/v1/jobs/demo.default.one.test')).service_ip_list, [{ IpType: 'RR', Address: '172.30.77.7' }])
  const refused = await server.fetch('/api/deploy', asYaml(yamlDescriptor('two', request)))
  t.equal(refused.status, 409)
  t.match(await refused.text(), /^address_taken: 172\.30\.77\.7 belongs to another job/)
  t.equal((await server.fetch('/api/v1/jobs/demo.default.two.test')).status, 404)
  await server.fetch('/api/delete/demo.default.one.test')
  t.equal((await server.fetch('/api/deploy', asYaml(yamlDescriptor('two', request)))).status, 200)
})
