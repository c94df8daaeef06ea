import t from 'tap'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

const TYPES = [
  'application/json',
  'application/x-www-form-urlencoded',
  'application/yaml',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'garbage',
  'text/plain',
  'application/octet-stream'
]

t.test('an empty body is none, whatever content type a client gives it', async t => {
  const server = await startServer(t)
  await server.fetch('/api/v1/jobs', asYaml(yamlDescriptor()))
  const job = '/api/v1/jobs/demo.default.service1.test'
  for (const type of TYPES) {
    await server.fetch(
      '/api/v1/jobs',
      asYaml(yamlDescriptor().replace('alpine', encodeURIComponent(type).slice(0, 9)))
    )
    const sent = { method: 'POST', headers: { 'content-type': type } }
    const chunked = { ...sent, body: new ReadableStream({ start: stream => stream.close() }), duplex: 'half' as const }
    // That has no end that could be known before.
    const isParsed = type !== 'garbage'
    for (const init of isParsed ? [sent, chunked] : [sent]) {
      const answer = await server.fetch(`${job}/rollback`, init)
      t.equal(answer.status, 200, `${type}: ${await answer.text()}`)
    }
    const needed = await server.fetch(`${job}/move`, sent)
    t.equal(needed.status, 400, type)
    t.match(await needed.json(), { code: 'bad_request', detail: 'The body is not valid' })
    t.equal((await server.fetch('/api/replicate', sent)).status, 400, 'where a body is needed')
  }
  t.equal((await server.fetch(job, { method: 'DELETE', headers: { 'content-type': 'text/plain' } })).status, 200)
})

t.test('a body that is not empty has to be of a type that the route takes, and is judged by its depth', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/api/v1/jobs/demo.default.service1.test/rollback', {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: '{}'
  })
  t.equal(answer.status, 415)
  t.match(await answer.json(), { code: 'media_type_unsupported', hint: /GET \/docs/ })
  const deep = await server.fetch('/api/replicate', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `{"job_id":${'['.repeat(100)}${']'.repeat(100)},"replicas":1}`
  })
  t.equal(deep.status, 400)
  t.match(await deep.text(), /json_invalid: .*at most 63 levels/)
})
