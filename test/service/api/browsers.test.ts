import { request } from 'node:http'
import t, { type Test } from 'tap'
import type { Config } from '../../../schemas/config.js'
import { startServer } from '../../support/server.js'
import { openRaw, upgradeRequest } from '../channel/peer.js'

/** Status and text of the answer to a request with any headers, which fetch would not send. */
const ask = (port: number, method: string, path: string, headers: Record<string, string>, body = '') =>
  new Promise<string>((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path, method, headers }, response => {
      let text = ''
      response.on('data', chunk => {
        text += String(chunk)
      })
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
    })
    asked.on('error', reject)
    asked.end(body)
  })

async function startPort (t: Test, settings: Partial<Config> = {}): Promise<number> {
  return Number(new URL((await startServer(t, settings)).url).port)
}

const CHANGES = [
  ['GET', '/api/cluster/65a1b2c3d4e5f60718293a4b/incr_node'],
  ['GET', '/api/net/subnet'],
  ['GET', '/api/jobs'],
  ['GET', '/api/v1/clusters'],
  ['GET', '/metrics'],
  ['GET', '/register'],
  ['GET', '/socket.io/?EIO=3&transport=polling&j=0'],
  ['POST', '/socket.io/?EIO=4&transport=polling'],
  ['POST', '/api/deploy', 'multipart/form-data; boundary=x'],
  ['POST', '/api/deploy', 'application/x-www-form-urlencoded'],
  ['POST', '/api/v1/jobs', 'text/plain'],
  ['OPTIONS', '/api/v1/jobs'],
  ['DELETE', '/api/v1/jobs/a.b.c.d'],
  ['GET', '/no-such-route']
] as const

const FOREIGN = [
  { origin: 'http://evil.example' },
  { origin: 'null' },
  { origin: 'file://' },
  { origin: 'http://127.0.0.1:1' },
  { origin: 'http://localhost/x, http://evil.example', host: 'localhost' },
  { origin: 'http://evil@localhost', host: 'localhost' },
  { origin: 'chrome-extension://localhost', host: 'localhost' },
  { origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
]

t.test('what a page of another site may have sent is refused, whatever it asks for', async t => {
  const port = await startPort(t)
  for (const headers of FOREIGN) {
    for (const [method, path, type] of CHANGES) {
      const answer = await ask(port, method, path, { ...headers, ...(type && { 'content-type': type }) }, type && 'x')
      t.match(answer, /^403 .*origin_foreign/, `${method} ${path} ${JSON.stringify(headers)}`)
    }
  }
})

t.test('clients other than browsers, pages of the server and links to its pages are served', async t => {
  const port = await startPort(t, { ALLOWED_ORIGINS: 'https://edge.example.com, http://localhost:3000' })
  for (const headers of [
    {},
    { origin: `http://127.0.0.1:${port}` },
    { host: 'edge.lan', origin: 'http://edge.lan:80' },
    { host: 'edge.lan:443', origin: 'https://edge.lan' },
    { origin: 'https://edge.example.com' },
    { origin: 'http://localhost:3000', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  ]) { t.match(await ask(port, 'GET', '/api/jobs', headers), /^200 /, JSON.stringify(headers)) }
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  for (const path of ['/', '/docs', '/docs/errors']) t.match(await ask(port, 'GET', path, link), /^200 /, path)
  t.match(await ask(port, 'POST', '/', link), /^403 /)
  for (const origin of ['https://edge.example.com.evil', 'http://localhost', 'https://localhost:3000']) {
    t.match(await ask(port, 'GET', '/api/jobs', { origin }), /^403 /, origin)
  }
})

t.test('no upgrade for a page of another site, over the channel and over Socket.IO', async t => {
  const port = await startPort(t)
  for (const path of ['/register', '/socket.io/?EIO=4&transport=websocket']) {
    for (const headers of [{ Origin: 'http://evil.example' }, { 'Sec-Fetch-Site': 'cross-site' }]) {
      const peer = await openRaw(t, port, upgradeRequest(headers, path))
      while (peer.received() === '') await new Promise(resolve => setTimeout(resolve, 10))
      t.match(peer.received(), /^HTTP\/1.1 403 /, path)
    }
    const own = await openRaw(t, port, upgradeRequest({ Host: 'edge.lan', Origin: 'http://edge.lan' }, path))
    while (own.received() === '') await new Promise(resolve => setTimeout(resolve, 10))
    t.match(own.received(), /^HTTP\/1.1 101 /, path)
  }
})

t.test('a server that listens on loopback knows only its own names', async t => {
  const port = await startPort(t, { MY_HOST: '127.0.0.1', ALLOWED_HOSTS: 'edge.lan' })
  for (const host of ['localhost', `localhost:${port}`, '127.0.0.1', '[::1]:1', 'LOCALHOST:80', 'edge.lan:10000']) {
    t.match(await ask(port, 'GET', '/api/jobs', { host }), /^200 /, host)
  }
  for (const host of ['evil.example', 'localhost.evil.example', 'evil@localhost', 'localhost/', '10.0.0.1']) {
    t.match(await ask(port, 'GET', '/api/jobs', { host }), /^421 host_unknown/, host)
    t.match(await ask(port, 'POST', '/api/deploy', { host, origin: `http://${host}` }), /^421 host_unknown/, host)
  }
  const peer = await openRaw(t, port, upgradeRequest({ Host: 'evil.example' }))
  while (peer.received() === '') await new Promise(resolve => setTimeout(resolve, 10))
  t.match(peer.received(), /^HTTP\/1.1 421 /)
  const old = await openRaw(t, port, 'GET /status HTTP/1.0\r\n\r\n')
  await old.gone
  t.match(old.received(), /^HTTP\/1.1 200 /, 'HTTP/1.0 has no Host')
})

t.test('pages tell browsers what they may do; other answers need no such headers', async t => {
  const { url } = await startServer(t)
  for (const path of ['/', '/docs', '/docs/errors']) {
    const { headers } = await fetch(url + path)
    t.match(headers.get('content-security-policy'), /default-src 'self'/, path)
    t.equal(headers.get('x-content-type-options'), 'nosniff', path)
    t.equal(headers.get('x-frame-options'), 'SAMEORIGIN', path)
    t.notMatch(headers.get('content-security-policy'), /upgrade-insecure-requests/, path)
  }
  t.equal((await fetch(`${url}/api/jobs`)).headers.get('content-security-policy'), null)
})

t.test('an origin that is none is named at the start', async t => {
  for (const origin of ['example.com', 'https://example.com/path', 'file://x', '*']) {
    await t.rejects(startServer(t, { ALLOWED_ORIGINS: origin }), {
      message: new RegExp(`"${origin.replace('*', '\\*')}" is no origin`)
    })
  }
})
