import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

const wishes: Array<[string | undefined, 'text' | 'json']> = [
  [undefined, 'text'],
  ['*/*', 'text'],
  ['text/plain', 'text'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text'],
  ['image/png', 'text'],
  ['application/json;q=0, text/plain', 'text'],
  ['text/plain, application/json;q=0.1', 'text'],
  ['application/jsonp', 'text'],
  [';;;', 'text'],
  ['application/json', 'json'],
  ['APPLICATION/JSON', 'json'],
  ['application/problem+json', 'json'],
  ['application/*', 'json'],
  ['application/json, text/plain, */*', 'json'],
  ['text/plain;q=0.5, application/json', 'json']
]

t.test('text or JSON, as the client would rather have it, for answers and for errors', async t => {
  const server = await startServer(t)
  await server.fetch('/api/deploy', asYaml(yamlDescriptor()))
  for (const [accept, form] of wishes) {
    const headers = accept === undefined ? [] : [['accept', accept] as [string, string]]
    // fetch would add */* where no header is given: it means the same.
    const status = await server.fetch('/api/job/status/demo.default.service1.test', { headers })
    t.equal(status.headers.get('content-type'), form === 'json' ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8', `Accept: ${accept}`)
    const error = await server.fetch('/api/job/status/no.such.job.here', { headers })
    t.equal(error.status, 404)
    t.equal(error.headers.get('content-type'), form === 'json' ? 'application/problem+json; charset=utf-8' : 'text/plain; charset=utf-8', `Accept: ${accept}`)
  }
})

t.test('a heartbeat of another content type than JSON is refused, whatever its body is', async t => {
  const server = await startServer(t)
  const heartbeat = (type: string) => server.fetch(`/api/information/${'f'.repeat(24)}`, { method: 'POST', headers: { 'content-type': type }, body: '{}' })
  for (const type of ['text/plain', 'text/json', 'application/yaml', 'application/x-www-form-urlencoded']) {
    const answer = await heartbeat(type)
    t.equal(answer.status, 415, type)
    t.match(await answer.text(), /^media_type_unsupported: [^]*\n {2}hint: GET \/docs/)
  }
  for (const type of ['application/json', 'Application/JSON; charset=UTF-8']) t.equal((await heartbeat(type)).status, 404, `${type}: only the cluster is not known`)
})

t.test('a body of the wrong kind is named as the body', async t => {
  const server = await startServer(t)
  const answer = await server.fetch(`/api/information/${'f'.repeat(24)}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[]' })
  t.equal(answer.status, 400)
  t.equal(await answer.text(), 'bad_request: The body is not valid\n  body: expected an object, got a list\n')
})

t.test('control characters in the URL do not reach the terminal of a reader of the answer or the log', async t => {
  const server = await startServer(t)
  for (const path of ['/api/job/status/%1b[2J', '/api/cluster/%1b[2J/incr_node', '/api/job/ip/%1b[2J/instances']) {
    const answer = await server.fetch(path)
    t.equal(answer.status, 400)
    t.match(await answer.text(), '"\\u001b[2J"')
  }
})
