import t from 'tap'
import { connectCluster, ROOMY } from '../../support/raw-cluster.js'
import { yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

const levels = (count: number) => '['.repeat(count) + ']'.repeat(count)
const ID = '65a1b2c3d4e5f60718293a4b'

t.test('a body of 64 levels, or over the limit of its route, is refused before it is parsed', async t => {
  const { url } = await startServer(t)
  const cases: Array<[string, string, number, string, (body: string) => string]> = [
    ['POST', `/api/information/${ID}`, 256, 'json_invalid', body => `{"more":${body}}`],
    ['POST', '/api/result/cluster_deploy', 1024, 'json_invalid', body => body],
    ['POST', '/api/result/deploy', 2048, 'json_invalid', body => body],
    ['PATCH', `/api/v1/jobs/${ID}`, 64, 'json_invalid', body => body],
    ['POST', `/api/v1/jobs/${ID}/move`, 64, 'json_invalid', body => body],
    ['POST', '/api/v1/jobs', 1024, 'descriptor_unreadable', body => body],
    ['POST', '/api/v1/applications', 1024, 'descriptor_unreadable', body => body],
    ['POST', '/api/deploy', 1024, 'descriptor_unreadable', body => body]
  ]
  for (const [method, path, kib, code, around] of cases) {
    const send = async (body: string) => {
      const answer = await fetch(url + path, { method, headers: { 'content-type': 'application/json' }, body })
      return `${answer.status} ${/[a-z_]+/.exec((await answer.text()).replace(/^.*"code":"/, ''))}`
    }
    t.equal(await send(around(levels(64))), `400 ${code}`, `${path}: 64 levels`)
    const started = performance.now()
    t.equal(await send(' '.repeat(kib * 1024) + '['), '413 body_too_large', `${path}: ${kib} KiB`)
    t.equal(await send('['.repeat(7_800_000)), '413 body_too_large', `${path}: 7.8 MB`)
    t.ok(performance.now() - started < 2000, path)
  }
})

t.test('a heartbeat over HTTP may be the larger the more instances are placed on its cluster', async t => {
  const { url } = await startServer(t)
  const { id, send: tell } = await connectCluster(t, url, { cluster_name: 'hpi' })
  tell('information', ROOMY)
  const beat = async (kib: number) => {
    const body = JSON.stringify({ ...ROOMY, padding: 'x'.repeat(kib * 1024) })
    const answer = await fetch(`${url}/api/information/${id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body
    })
    return `${answer.status} ${await answer.text()}`
  }
  t.equal(await beat(250), '200 ok')
  t.match(await beat(290), /^413 body_too_large: expected a heartbeat of at most 262144 bytes, got 297\d\d\d\n/)
  const file = yamlDescriptor('web', 'replicas: 3\n')
  const deployed = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/yaml' },
    body: file
  })
  t.equal(deployed.status, 201)
  const until = Date.now() + 10_000
  while (!(await beat(290)).startsWith('200') && Date.now() < until) {
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  t.equal(await beat(290), '200 ok')
  t.match(await beat(310), /^413 body_too_large: expected a heartbeat of at most 311296 bytes/)
})
