import { connect, type AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { serverOptions } from '../../../app.js'
import { startServer } from '../../support/server.js'

/** Sends bytes as they are, and gives what came back until the server hung up. */
function converse (port: number, bytes: string | Buffer): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', chunk => chunks.push(chunk))
    // Hung up while something was still on its way to the server.
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.write(bytes)
  })
}

const refusals: Array<[string, string | Buffer, string, RegExp]> = [
  ['a greeting', 'hello\r\n\r\n', '400 Bad Request', /^bad_request: This is not HTTP\/1\.1: /],
  ['a TLS hello', Buffer.from('16030100a5010000a1030301', 'hex'), '400 Bad Request', /^bad_request/],
  ['a NUL in the address', 'GET /api/job/status/a\0b HTTP/1.1\r\nHost: x\r\n\r\n', '400 Bad Request', /^bad_request/],
  ['an address beyond ASCII', 'GET /api/job/status/ü HTTP/1.1\r\nHost: x\r\n\r\n', '400 Bad Request', /^bad_request/],
  ['two lengths of one body', 'POST /api/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', '400 Bad Request', /^bad_request/],
  ['an address of 20 kB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, '431 Request Header Fields Too Large', /^headers_too_large/]
]

t.test('what is no request is answered with an error of the catalogue, and hung up', async t => {
  const server = await startServer(t)
  const port = Number(new URL(server.url).port)
  for (const [what, bytes, status, body] of refusals) {
    const answer = await converse(port, bytes)
    const [head = '', text = ''] = answer.split('\r\n\r\n')
    t.ok(head.startsWith(`HTTP/1.1 ${status}\r\n`), `${what}: ${head}`)
    t.match(head, /content-type: text\/plain; charset=utf-8/, what)
    t.match(head, `content-length: ${Buffer.byteLength(text)}`, what)
    t.match(text, body, what)
  }
  t.equal(await server.text('/status'), 'ok', 'the server goes on')
})

t.test('a request that stops in the middle is given up with 408', async t => {
  // Node takes the longer of the two for the whole request.
  const server = Fastify({ ...serverOptions, requestTimeout: 100, http: { connectionsCheckingInterval: 50, headersTimeout: 50 } })
  server.post('/', async () => 'never')
  await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const answer = await converse((server.server.address() as AddressInfo).port,
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{"a"')
  t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n[^]*\r\n\r\nrequest_timeout: /)
  t.ok(serverOptions.requestTimeout > 0, 'the System Manager has a limit, too')
})
