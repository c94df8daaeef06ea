import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

/** A connection, and all that the server says on it. */
async function open (t: Test, url: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  let heard = ''
  socket.setEncoding('utf8').on('data', text => {
    heard += text
  })
  await once(socket, 'connect')
  return { socket, heard: () => heard }
}

const said = (heard: () => string, what: RegExp) =>
  eventually(
    async () => heard(),
    text => what.test(text)
  )

/** A cluster that does not answer when its channel is to be closed: the server gives it a second. */
const UPGRADE = [
  'GET /register HTTP/1.1',
  'host: localhost',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='
]

for (const [accept, refusal] of [
  ['application/json', /503 Service Unavailable[^]*retry-after: 2[^]*"code":"shutting_down"/],
  ['*/*', /503 Service Unavailable[^]*retry-after: 2[^]*\r\n\r\nshutting_down: The System Manager is closing\n/]
] as const) {
  t.test(`what comes while the server is closing gets 503 shutting_down, with accept: ${accept}`, async t => {
    const server = await startServer(t)
    const cluster = await open(t, server.url)
    cluster.socket.write(`${UPGRADE.join('\r\n')}\r\n\r\n`)
    await said(cluster.heard, /101 Switching/)
    const user = await open(t, server.url)
    const request = `GET /api/jobs HTTP/1.1\r\nhost: localhost\r\naccept: ${accept}\r\n\r\n`
    user.socket.write(request)
    await said(user.heard, /200 OK/)
    const closed = server.close()
    user.socket.write(request)
    t.match(await said(user.heard, /503/), refusal)
    t.match(user.heard(), /connection: close/i)
    await closed
  })
}

t.test('what is under way when the server closes is finished, and its connection ends then', async t => {
  const server = await startServer(t)
  const { socket, heard } = await open(t, server.url)
  const body = yamlDescriptor()
  const head = ['POST /api/deploy HTTP/1.1', 'host: localhost', 'content-type: application/yaml']
  socket.write(`${[...head, `content-length: ${body.length}`].join('\r\n')}\r\n\r\n${body.slice(0, 10)}`)
  // Its headers have come by the time that another request is answered.
  await server.text('/status')
  const closed = server.close()
  socket.write(body.slice(10))
  await once(socket, 'close')
  t.match(heard(), /^HTTP\/1\.1 (?:200|503) /)
  await closed
})
