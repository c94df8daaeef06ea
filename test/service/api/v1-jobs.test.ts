import t from 'tap'
import { eventually } from '../../support/waiting.js'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

t.test('a job is created, read, updated and deleted as a resource', async t => {
  const server = await startServer(t)
  const created = await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))
  t.equal(created.status, 201)
  const job = await created.json() as { id: string }
  t.equal(created.headers.get('location'), `/api/v1/jobs/${job.id}`)
  t.equal((await server.fetch(`/api/v1/jobs/${job.id}`)).status, 200)
  t.equal((await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))).status, 200, 'the same again')
  t.equal((await server.fetch('/api/v1/jobs', asForm(yamlDescriptor().replace('alpine', '2')))).status, 200, 'an update')
  const deleted = await server.fetch(`/api/v1/jobs/${job.id}`, { method: 'DELETE' })
  t.equal(deleted.status, 200)
  t.match(await deleted.json(), { id: job.id, status: 'UNDEPLOYED', desired_state: 'undeployed' })
})

t.test('every error is a problem with a stable code', async t => {
  const server = await startServer(t)
  const refusals: Array<[string, RequestInit, number, string]> = [
    ['/api/v1/jobs/no.such.job.here', {}, 404, 'job_not_found'],
    ['/api/v1/jobs/42', {}, 400, 'job_ref_malformed'],
    ['/api/v1/nothing', {}, 404, 'route_not_found'],
    ['/api/v1/jobs/%zz', {}, 400, 'bad_request'],
    [`/api/v1/jobs/${'a'.repeat(400)}`, {}, 400, 'bad_request'],
    ['/api/v1/jobs?limit=0', {}, 400, 'bad_request'],
    ['/api/v1/jobs?limit=many', {}, 400, 'bad_request'],
    ['/api/v1/jobs?colour=red', {}, 400, 'bad_request'],
    ['/api/v1/jobs?status=SLEEPING', {}, 400, 'bad_request'],
    ['/api/v1/jobs?status=', {}, 400, 'bad_request'],
    ['/api/v1/jobs?status=RUNNING,SLEEPING', {}, 400, 'bad_request'],
    ['/api/v1/jobs?cluster_id=zzz', {}, 404, 'cluster_not_found'],
    ['/api/v1/jobs?after=x', {}, 400, 'bad_request'],
    ['/api/v1/jobs', { method: 'POST' }, 400, 'descriptor_missing'],
    ['/api/v1/jobs', { method: 'POST', body: 'x', headers: { 'content-type': 'image/png' } }, 415, 'media_type_unsupported'],
    ['/api/v1/jobs', asYaml('[1, 2]'), 400, 'descriptor_unreadable'],
    ['/api/v1/jobs', asYaml('app_name: x'), 400, 'descriptor_invalid'],
    ['/api/v1/clusters/zzz', {}, 404, 'cluster_not_found'],
    ['/api/v1/clusters/ffffffffffffffffffffffff', {}, 404, 'cluster_not_found']
  ]
  for (const [path, init, status, code] of refusals) {
    const answer = await server.fetch(path, init)
    t.equal(answer.status, status, path)
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/, path)
    t.match(await answer.json(), { status, code, title: /\w/, detail: /\w/, type: `/docs/errors#${code}`, instance: /\w/ }, path)
  }
})

t.test('a wrong part of a body that may also be left out is named', async t => {
  const server = await startServer(t)
  await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))
  const answer = await server.fetch('/api/v1/jobs/demo.default.service1.test/rollback', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"generation":0}'
  })
  t.equal(answer.status, 400)
  const violations = [{ field: 'generation', message: 'expected a whole number of at least 1, got the number 0' }]
  t.match(await answer.json(), { code: 'bad_request', violations })
})

t.test('a list that is too long is told so', async t => {
  const server = await startServer(t)
  const answer = await server.json(`/api/v1/jobs?status=${Array.from({ length: 50 }, () => 'DEAD').join(',')}`)
  t.match(answer.violations, [{ field: 'status', message: /^expected a list of at most \d+, got a list$/ }])
})

t.test('jobs are listed in pages, in order, and filtered', async t => {
  const server = await startServer(t)
  for (let i = 0; i < 5; i++) await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor(`s${i}`)))
  await server.fetch('/api/v1/jobs/demo.default.s2.test', { method: 'DELETE' })
  const seen: string[] = []
  let next: string | null = ''
  const listed = [0, 1, 3, 4].map(i => `demo.default.s${i}.test`)
  while (next !== null) {
    const page: { items: Array<{ job_name: string }>, next: string | null } = await server.json(`/api/v1/jobs?limit=2${next && `&after=${next}`}`)
    t.ok(page.items.length <= 2)
    seen.push(...page.items.map(({ job_name }) => job_name))
    next = page.next
  }
  t.same(seen, listed, 'an undeployed job is not listed unless it is asked for')
  const names = async (query: string) => (await server.json(`/api/v1/jobs?${query}`)).items.map(({ job_name }: { job_name: string }) => job_name)
  t.same(await names('status=UNDEPLOYED'), ['demo.default.s2.test'])
  t.same(await names('undeployed=false'), listed)
  t.equal((await names('undeployed=true')).length, 5)
  t.same(await names('status=UNDEPLOYED&undeployed=false'), [])
  t.same(await names('status=RUNNING,UNDEPLOYED'), ['demo.default.s2.test'])
  t.same(await names('status=RUNNING,%20UNDEPLOYED'), ['demo.default.s2.test'])
  t.same(await names('status=RUNNING&status=UNDEPLOYED'), ['demo.default.s2.test'])
  const placement = 'status=NoActiveClusterWithCapacity'
  await eventually(() => names(placement), found => found.length === 4)
  t.equal((await names(`${placement},UNDEPLOYED&limit=3`)).length, 3)
  t.same(await names(`${placement},UNDEPLOYED&job_name=demo.default.s2.test`), ['demo.default.s2.test'])
  t.same(await names('job_name=demo.default.s4.test'), ['demo.default.s4.test'])
  t.equal((await names('app_name=demo')).length, 4)
  t.same(await names('app_name=other'), [])
  t.same(await names('cluster_id=ffffffffffffffffffffffff'), [])
})

t.test('the events of a job are listed in order, with time and cause, in pages', async t => {
  const server = await startServer(t)
  await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))
  const { id } = await server.json('/api/v1/jobs/demo.default.service1.test')
  await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor().replace('alpine', '2')))
  await server.fetch(`/api/v1/jobs/${id}`, { method: 'DELETE' })
  const { items, next } = await server.json(`/api/v1/jobs/${id}/events`)
  t.equal(next, null)
  const types = items.map(({ type }: { type: string }) => type)
  t.equal(types[0], 'deployed')
  t.equal(types.at(-1), 'undeployed')
  t.ok(types.includes('updated'))
  for (const event of items) t.match(event, { time: /^\d{4}-.*Z$/, cause: /^(user|scheduler)$/, message: /\w/ })
  const first = await server.json(`/api/v1/jobs/${id}/events?limit=1`)
  t.same(first.items, [items[0]])
  t.same((await server.json(`/api/v1/jobs/${id}/events?after=${first.next}`)).items, items.slice(1))
})
