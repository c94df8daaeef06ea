import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { catalogue } from '../../../schemas/errors.js'
import { startServer } from '../../support/server.js'

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  parameters?: Array<{ name: string, in: string, example?: unknown }>
  responses: Record<string, { description: string, content?: Record<string, unknown> }>
}
interface Document { openapi: string, paths: Record<string, Record<string, Operation>>, components: { schemas: Record<string, { examples?: unknown[] }> } }

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

t.test('the description of the API is valid OpenAPI 3.1', async t => {
  const server = await startServer(t)
  const document = await server.json('/docs/json') as Document
  t.equal(document.openapi, '3.1.0')
  const { valid, errors } = await new Validator().validate(document as unknown as Record<string, unknown>)
  t.ok(valid, JSON.stringify(errors)?.slice(0, 2000))
  for (const name of ['Application', 'ApplicationDescriptor', 'Cluster', 'ClusterView', 'DeployResult', 'Descriptor', 'Heartbeat', 'Job', 'JobEvent', 'Problem']) {
    t.match(document.components.schemas[name], { examples: [Object] }, `${name} is a named shape with an example`)
  }
})

t.test('every operation has its own id, a summary, a tag, and documents its errors', async t => {
  const server = await startServer(t)
  const { paths } = await server.json('/docs/json') as Document
  const ids = new Set<string>()
  const operations = Object.entries(paths).flatMap(([path, item]) => METHODS.flatMap(method => item[method] ? [{ name: `${method} ${path}`, operation: item[method] }] : []))
  t.ok(operations.length >= 20)
  for (const { name, operation } of operations) {
    t.type(operation.operationId, 'string', name)
    t.notOk(ids.has(operation.operationId!), `${name}: ${operation.operationId} is used once`)
    ids.add(operation.operationId!)
    t.type(operation.summary, 'string', name)
    t.equal(operation.tags?.length, 1, name)
    const statuses = Object.keys(operation.responses)
    t.ok(statuses.some(status => status.startsWith('2') || status === '101' || status === '426'), name)
    if (name !== 'get /') t.ok(statuses.includes('500') || statuses.includes('426'), `${name} tells its errors`)
    for (const parameter of operation.parameters ?? []) {
      if (parameter.in === 'path') t.ok('example' in parameter, `${name}: ${parameter.name} has an example`)
    }
  }
})

t.test('every code of the catalogue is documented by an operation, or belongs to no single one', async t => {
  const server = await startServer(t)
  const described = JSON.stringify(await server.json('/docs/json'))
  const ofNoSingleRoute = [
    'route_not_found',
    'cluster_name_in_use',
    'shutting_down',
    'address_refused',
    'origin_foreign',
    'host_unknown',
    'method_not_allowed',
    'headers_too_large',
    'request_timeout'
  ]
  for (const code of Object.keys(catalogue)) {
    if (!ofNoSingleRoute.includes(code)) t.ok(described.includes(`\`${code}\``), code)
  }
})

t.test('the page to try the API is there', async t => {
  const server = await startServer(t)
  const page = await server.fetch('/docs')
  t.equal(page.status, 200)
  t.match(await page.text(), /swagger-ui/)
})

t.test('the type of every problem leads to its explanation', async t => {
  const server = await startServer(t)
  const { type } = await server.json('/api/v1/jobs/no.such.job.here')
  const [path, anchor] = type.split('#')
  const page = await server.fetch(path)
  t.match(page.headers.get('content-type'), /^text\/html/)
  const html = await page.text()
  t.equal(anchor, 'job_not_found')
  for (const code of Object.keys(catalogue)) t.ok(html.includes(`<dt id="${code}">`), code)
})
