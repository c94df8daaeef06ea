import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { catalogue } from '../../../schemas/errors.js'
import { asForm, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

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
  t.equal(answer.status, 400)
  t.match(await answer.text(), /^bad_request: The form has too many parts\n/)
  const files = new FormData()
  for (const name of ['file', 'file']) files.append(name, new Blob([yamlDescriptor()]), 'deploy.yaml')
  const two = await server.fetch('/api/deploy', { method: 'POST', body: files })
  t.equal(two.status, 400)
  t.match(await two.text(), /^bad_request: The form has more than one file\n {2}hint: Send one file/)
  t.same(await server.json('/api/jobs'), [])
})

t.test('a path that has routes of other methods is 405 and says which', async t => {
  const server = await startServer(t)
  for (const [method, path, allow] of [
    ['GET', '/api/deploy', 'POST'],
    ['POST', '/api/jobs', 'HEAD, GET'],
    ['PUT', '/api/v1/jobs/a.b.c.d', 'HEAD, GET, DELETE, PATCH'],
    ['HEAD', '/api/net/subnet', 'GET'],
    ['DELETE', '/register', 'HEAD, GET'],
    ['OPTIONS', '/api/v1/jobs', 'HEAD, GET, POST'],
    ['POST', '/docs/json', 'HEAD, GET'],
    ['POST', '/docs/static/logo.svg', 'HEAD, GET']
  ] as const) {
    const answer = await server.fetch(`${path}?a=b`, { method })
    t.same(
      [answer.status, new Set(answer.headers.get('allow')?.split(', '))],
      [405, new Set(allow.split(', '))],
      `${method} ${path}`
    )
    if (method !== 'HEAD') t.match(await answer.text(), /method_not_allowed/)
  }
  for (const path of ['/no-such-route', '/api/v2/jobs', '/docs/static/no-such-file']) {
    const answer = await server.fetch(path)
    t.same([answer.status, answer.headers.get('allow')], [404, null], path)
  }
})

t.test('a GET whose client goes within the body is no error of the server', async t => {
  const log: Array<{ level: number, code?: string }> = []
  const server = await startServer(t, {}, { logger: { stream: { write: line => { log.push(JSON.parse(line)) } } } })
  const { port } = new URL(server.url)
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /api/clusters/move HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{')
  await new Promise(resolve => setTimeout(resolve, 100))
  socket.resetAndDestroy()
  await eventually(async () => log.filter(({ code }) => code === 'bad_request').length, count => count === 1)
  t.same(log.filter(({ level }) => level >= 40), [])
})

t.test('what is compressed is refused by name, and so are two fields named file', async t => {
  const server = await startServer(t)
  const compressed = await server.fetch('/api/v1/jobs', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: 'x'
  })
  t.equal(compressed.status, 415)
  t.match(await compressed.json(), { code: 'media_type_unsupported', detail: 'Content-Encoding gzip is not supported' })
  const body = new FormData()
  for (const name of ['one', 'two']) body.append('file', yamlDescriptor(name))
  const two = await server.fetch('/api/deploy', { method: 'POST', body })
  t.match([two.status, await two.text()], [400, /^bad_request: The form has more than one file/])
  t.same(await server.json('/api/jobs'), [])
})

t.test('HEAD changes nothing', async t => {
  const server = await startServer(t)
  await server.fetch('/api/deploy', asForm(yamlDescriptor()))
  for (const path of ['/api/delete/demo.default.service1.test', '/api/net/subnet']) {
    t.equal((await server.fetch(path, { method: 'HEAD' })).status, 405)
  }
  t.equal((await server.json('/api/jobs')).length, 1)
  t.same(await server.json('/api/net/subnet'), { subnet_addr: '172.18.0.0' })
  t.equal((await server.fetch('/status', { method: 'HEAD' })).status, 200)
})
