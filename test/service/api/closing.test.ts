import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'
import { eventually } from '../../support/waiting.js'

for (const [accept, expected] of [
  ['application/json', /HTTP\/1\.1 503 [^]*retry-after: 2[^]*"code":"shutting_down"/],
  ['*/*', /HTTP\/1\.1 503 [^]*retry-after: 2[^]*\r\n\r\nshutting_down: The System Manager is closing\n/]
] as const) {
  t.test(`what comes while the server is closing is refused as any error is, with accept: ${accept}`, async t => {
    const server = await startServer(t)
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    let answers = ''
    socket.setEncoding('utf8').on('data', text => {
      answers += text
    })
    await once(socket, 'connect')
    const body = yamlDescriptor()
    const head = [
      'POST /api/deploy HTTP/1.1',
      'host: localhost',
      'content-type: application/yaml',
      `content-length: ${body.length}`
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, 10)}`)
    // It is under way, and keeps the connection from being closed.
    await eventually(
      () => server.text('/metrics'),
      () => true
    )
    const closed = server.close()
    await new Promise(resolve => setTimeout(resolve, 50))
    socket.write(`${body.slice(10)}GET /api/jobs HTTP/1.1\r\nhost: localhost\r\naccept: ${accept}\r\n\r\n`)
    await once(socket, 'close')
    const [first, second] = answers.split(/(?=HTTP\/1\.1)/)
    t.match(first, /^HTTP\/1\.1 (200|503)/, 'what was under way is finished')
    t.match(second, expected)
    await closed
  })
}
