import t from 'tap'
import { asForm, asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

const ODD = yamlDescriptor('service1', 'replica: 3\nenvironment: {V: 1.10}\n')
const WARNINGS = [
  { field: 'replica', message: /did you mean replicas\?/, line: 12, column: 1 },
  { field: 'environment.V', message: /read as the number 1\.1: .* "1\.10"/, line: 13, column: 18 }
]

t.test('a deploy and a plan tell what their author may not have meant, and do it nevertheless', async t => {
  const server = await startServer(t)
  const answer = async (path: string, init: RequestInit) => {
    const response = await server.fetch(path, init)
    t.ok(response.ok, path)
    return await response.json()
  }
  for (const as of [asYaml, asForm]) {
    t.match(await answer('/api/v1/jobs/plan', as(ODD)), { services: [{}], warnings: WARNINGS })
    t.match(await answer('/api/v1/jobs', as(ODD)), { replicas: 1, descriptor: { replica: 3 }, warnings: WARNINGS })
    t.match(await answer('/api/v1/applications', as(ODD)), { name: 'demo.default', warnings: WARNINGS })
    t.match(await answer('/api/deploy', as(ODD)), { job_name: 'demo.default.service1.test', warnings: WARNINGS })
  }
  const several = `${ODD}---\n${yamlDescriptor('service2')}`
  const [first, second] = (await answer('/api/deploy', asYaml(several))) as [object, object]
  t.match(first, { warnings: WARNINGS.map(warning => ({ ...warning, document: 1 })) })
  t.same(Object.keys(second), ['job_id', 'job_name', 'status'])
})

t.test('where there is nothing to warn of, the answers say so, and that of the contract is as it was', async t => {
  const server = await startServer(t)
  const plain = async (path: string) => (await server.fetch(path, asYaml(yamlDescriptor()))).json()
  for (const path of ['/api/v1/jobs/plan', '/api/v1/jobs', '/api/v1/applications']) {
    t.same(((await plain(path)) as { warnings: unknown }).warnings, [], path)
  }
  t.same(Object.keys((await plain('/api/deploy')) as object), ['job_id', 'job_name', 'status'])
})

t.test('the first line of a refusal says what the file is', async t => {
  const server = await startServer(t)
  const answer = await server.fetch('/api/deploy', asForm('services:\n  web:\n    image: nginx\n'))
  t.equal(answer.status, 400)
  t.match(
    (await answer.text()).split('\n')[0],
    /^descriptor_invalid: Line 1, column 1: this is a Docker Compose file, not a deployment descriptor$/
  )
})
