import type { Test } from 'tap'
import { request } from 'undici'
import { yamlDescriptor } from '../support/descriptor.js'
import { connectCluster, ROOMY, type RawCluster } from '../support/raw-cluster.js'
import { startServer, type TestServer } from '../support/server.js'
import { eventually } from '../support/waiting.js'

/**
 * A row of the contract's tables, byte for byte: what is sent, and what comes back.
 *
 * `<job>` and `<cluster>` stand for the ids of the scene, `<id>` for any other; `<time>` and `<unix>` for points in time.
 * An `…` in an answer stands for fields of our own, which the contract lets us add.
 */
export type Row = [sent: string, answer: Answer, body?: Body]
interface Answer { status: number, type: string, bytes: string }
interface Body { type: string, bytes: string | Buffer, accept?: string }

export const text = (bytes: string, status = 200): Answer => ({ status, type: 'text/plain; charset=utf-8', bytes })
export const json = (bytes: string): Answer => ({ status: 200, type: 'application/json; charset=utf-8', bytes })
export const problem = (status: number, bytes: string): Answer => ({ status, type: 'application/problem+json; charset=utf-8', bytes })

export const asJson = (value: unknown): Body => ({ type: 'application/json', bytes: JSON.stringify(value) })
export const as = (type: string, bytes: string | Buffer): Body => ({ type, bytes })
/** Only the preferred form of the answer. */
export const accepting = (accept: string): Body => ({ type: '', bytes: '', accept })
/** As curl sends `-F file=@deploy.yaml`. */
export const form = (content: string, part = 'file'): Body => as('multipart/form-data; boundary=------------------------d74496d66958873e',
  `--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name="${part}"; filename="deploy.yaml"\r\nContent-Type: application/octet-stream\r\n\r\n${content}\r\n--------------------------d74496d66958873e--\r\n`)

export interface Scene { server: TestServer, cluster: RawCluster, job: string }

/** One cluster, hpi, on which demo.default.service1.test is DEPLOYED with its details told. */
export async function startScene (t: Test): Promise<Scene> {
  const server = await startServer(t)
  const cluster = await connectCluster(t, server.url, { cluster_name: 'hpi', cluster_location: 'Potsdam' })
  cluster.send('information', ROOMY)
  const deployed = await server.fetch('/api/deploy', { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: yamlDescriptor() })
  const { job_id: job } = await deployed.json() as { job_id: string }
  const { seq } = await cluster.take('command')
  cluster.send('ack', { seq })
  cluster.send('result', { job_id: job, instances: [{ instance_number: 0, namespace_ip: '10.18.0.2', host_ip: '192.168.178.40', host_port: 50103 }] })
  await eventually(() => server.text(`/api/job/status/${job}`), status => status === 'DEPLOYED\n')
  return { server, cluster, job }
}

/** Sends the rows one after the other. */
export async function checkRows (t: Test, { server, cluster, job }: Scene, rows: Row[]): Promise<void> {
  const known = (text: string) => text.replaceAll('<job>', job).replaceAll('<cluster>', cluster.id)
  for (const [sent, { status, type, bytes }, body] of rows) {
    const [method = '', path = ''] = sent.split(' ')
    const answer = await request(server.url + known(path), {
      method,
      headers: { ...(body?.type && { 'content-type': body.type }), ...(body?.accept && { accept: body.accept }) },
      body: body?.bytes.length ? typeof body.bytes === 'string' ? known(body.bytes) : body.bytes : null
    })
    const came = Buffer.from(await answer.body.arrayBuffer())
    t.same(answer.statusCode, status, `${sent}: ${came.toString().slice(0, 200)}`)
    t.same(answer.headers['content-type'], type, sent)
    t.same(Number(answer.headers['content-length']), came.length, `${sent}: its length`)
    check(t, sent, steady(came.toString(), known(bytes)), known(bytes))
  }
}

/** What differs from run to run, as the rows write it. Ids that the row names stay. */
function steady (text: string, expected: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{24}\b/g, id => expected.includes(id) ? id : '<id>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replaceAll(/("last_modified_timestamp":)\d+(\.\d+)?/g, '$1<unix>')
    .replaceAll(/("instance":)"req-\w+"/g, '$1"<request>"')
}

function check (t: Test, sent: string, came: string, expected: string): void {
  // As one pattern, so that the difference is shown in full.
  const pattern = expected.split('…').map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*?')
  if (expected.includes('…')) t.match(came, new RegExp(`^${pattern}$`), sent)
  else t.equal(came, expected, sent)
}
