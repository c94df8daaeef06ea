import fc from 'fast-check'
import t from 'tap'
import { catalogue } from '../../../schemas/errors.js'
import { asForm, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

interface Operation { parameters?: Array<{ name: string, in: string }>, responses: Record<string, { content?: Record<string, unknown> }> }

const codeOf = (type: string, text: string): string => type.startsWith('application/problem+json') ? (JSON.parse(text) as { code: string }).code : text.split(':', 1)[0]!

t.test('whatever is sent to whichever route, only errors of the catalogue come back, as the route describes them, and never a 500', async t => {
  const server = await startServer(t)
  const { paths } = await server.json('/docs/json') as { paths: Record<string, Record<string, Operation>> }
  const operations = Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, { parameters = [], responses }]) => ({
    method: method.toUpperCase(), path, responses, query: parameters.filter(parameter => parameter.in === 'query').map(({ name }) => name)
  })))
  const part = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('ffffffffffffffffffffffff', 'a.b.c.d', 'a_b_c_d', '..', '%', '172_30_0_1', '-1', '1e9', '{{7*7}}', "'; DROP TABLE jobs; --"))
  const body = fc.oneof(fc.constant(undefined), fc.json(), fc.string({ unit: 'binary' }), fc.constantFrom('null', '[]', '{"__proto__":{}}', '{"jobs":[{}]}', yamlDescriptor('x', 'RR_ip: 1.2.3.4\n')))
  const type = fc.constantFrom('application/json', 'application/yaml', 'text/plain', 'multipart/form-data; boundary=x', 'application/octet-stream', 'nonsense')
  const request = fc.record({ operation: fc.constantFrom(...operations), part, body, type, accept: fc.constantFrom('*/*', 'application/json') })

  await fc.assert(fc.asyncProperty(request, async ({ operation: { method, path, query, responses }, part, body, type, accept }) => {
    const safe = encodeURIComponent(part.replaceAll(/\p{Surrogate}/gu, ''))
    const url = path.replaceAll(/\{\w+\}/g, safe) + (query.length > 0 ? `?${query[part.length % query.length]}=${safe}` : '')
    const withBody = body !== undefined && method !== 'GET'
    const answer = await server.fetch(url, { method, headers: { accept, ...(withBody && { 'content-type': type }) }, ...(withBody && { body }) })
    const text = await answer.text()
    const contentType = answer.headers.get('content-type') ?? ''
    const code = answer.status < 400 ? undefined : codeOf(contentType, text)
    // An address that leads elsewhere is not this route's to describe.
    if (code !== 'route_not_found' && answer.status !== 204) {
      const described = Object.keys((responses[answer.status] ?? responses.default)?.content ?? {})
      if (!described.includes(contentType.split(';', 1)[0]!)) throw new Error(`${method} ${path} does not describe ${answer.status} ${contentType}: ${text.slice(0, 200)}`)
    }
    if (code === undefined) return
    if (!Object.hasOwn(catalogue, code)) throw new Error(`${method} ${url}: ${answer.status} ${text.slice(0, 200)}`)
    if (catalogue[code as keyof typeof catalogue].status !== answer.status || answer.status === 500) throw new Error(`${method} ${url}: ${answer.status} with ${code}`)
    if (/\bat .*\.[jt]s:\d+/.test(text)) throw new Error(`a stack leaves the server: ${text}`)
  }), { numRuns: 400 })
  t.pass('400 requests')
})

t.test('a form of too many parts is refused', async t => {
  const server = await startServer(t)
  const { body } = asForm(yamlDescriptor())
  for (let i = 0; i < 20; i++) body.set(`field${i}`, 'x')
  const answer = await server.fetch('/api/deploy', { method: 'POST', body })
  t.equal(answer.status, 413)
  t.match(await answer.text(), /^body_too_large/)
  t.same(await server.json('/api/jobs'), [])
})

t.test('HEAD changes nothing', async t => {
  const server = await startServer(t)
  await server.fetch('/api/deploy', asForm(yamlDescriptor()))
  for (const path of ['/api/delete/demo.default.service1.test', '/api/net/subnet']) t.equal((await server.fetch(path, { method: 'HEAD' })).status, 404)
  t.equal((await server.json('/api/jobs')).length, 1)
  t.same(await server.json('/api/net/subnet'), { subnet_addr: '172.18.0.0' })
  t.equal((await server.fetch('/status', { method: 'HEAD' })).status, 200)
})
