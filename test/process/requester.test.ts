import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { startServerProcess } from '../support/server-process.js'
import { serverWith } from '../support/server-with.js'
import { suspend } from '../support/suspend.js'
import { eventually, patience } from '../support/waiting.js'

/** A change waits for as long as its request says, as it would for a slow database. */
const SLOW = `
  export default fp(async app => {
    app.addHook('preHandler', request => new Promise(resolve => setTimeout(resolve, request.headers['x-slow'] ?? 0)))
  }, { name: 'one-more' })`

async function start (t: Test, env: Record<string, string> = {}) {
  const server = await startServerProcess(t, { DATA_DIR: join(t.testdirName, 'data'), ...env }, serverWith(t, SLOW))
  const names = async () => {
    const { items } = (await (await fetch(`${server.url}/api/v1/jobs`)).json()) as {
      items: Array<{ job_name: string }>
    }
    return items.map(({ job_name: name }) => name.split('.')[2])
  }
  return { server, names }
}

/** A request on a socket of its own. `answer` is all that came when the server has closed it. */
function sendRaw (t: Test, url: string, text: string, { slowMs = 0, version = '1.1' } = {}) {
  const socket: Socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  let seen = ''
  socket.on('data', chunk => {
    seen += String(chunk)
  })
  const answer = new Promise<string>(resolve =>
    socket.once('close', () => resolve(seen)).once('end', () => resolve(seen))
  )
  const length = Buffer.byteLength(text)
  socket.write(
    `POST /api/v1/jobs HTTP/${version}\r\nhost: localhost\r\nconnection: close\r\nx-slow: ${slowMs}\r\n` +
      `content-type: application/yaml\r\ncontent-length: ${length}\r\n\r\n${text}`
  )
  return { socket, answer }
}

t.test('what a client asked for that has gone meanwhile is not done', async t => {
  const { server, names } = await start(t)
  const gone = sendRaw(t, server.url, yamlDescriptor('gone'), { slowMs: 600 })
  const reset = sendRaw(t, server.url, yamlDescriptor('reset'), { slowMs: 600 })
  await sleep(200)
  gone.socket.destroy()
  reset.socket.resetAndDestroy()
  await sleep(1500)
  t.same(await names(), [])
})

t.test('a client that has only closed its half is one, and gets its answer', async t => {
  const { server, names } = await start(t)
  for (const version of ['1.1', '1.0']) {
    const service = `half${version.replace('.', '')}`
    const half = sendRaw(t, server.url, yamlDescriptor(service), { slowMs: 300, version })
    half.socket.end()
    t.match(await half.answer, /^(HTTP\/1.1 100 Continue\r\n\r\n)*HTTP\/1\.1 201 Created\r\n/)
  }
  t.same((await names()).sort(), ['half10', 'half11'])
})

t.test('who has gone while the process was suspended for a moment is not served', async t => {
  const { server, names } = await start(t)
  await suspend(server.child.pid!)
  const gone = sendRaw(t, server.url, yamlDescriptor('gone'))
  const reset = sendRaw(t, server.url, yamlDescriptor('reset'))
  const stayed = sendRaw(t, server.url, yamlDescriptor('stayed'))
  await sleep(patience(1500))
  gone.socket.destroy()
  reset.socket.resetAndDestroy()
  server.child.kill('SIGCONT')
  t.match(await stayed.answer, /^HTTP\/1\.1 201 /)
  await sleep(500)
  t.same(await names(), ['stayed'])
})

t.test('what was sent to a suspended process is too old when it runs again; what is sent later is done', async t => {
  const { server, names } = await start(t, { LEASE_S: '1' })
  await suspend(server.child.pid!)
  const older = sendRaw(t, server.url, yamlDescriptor('older'))
  const abandoned = sendRaw(t, server.url, yamlDescriptor('abandoned'))
  await sleep(patience(1500))
  abandoned.socket.destroy()
  server.child.kill('SIGCONT')
  t.match(await older.answer, /^HTTP\/1\.1 503 .*request_expired.*nothing was changed/s)
  t.same(await names(), [], 'reads are answered')
  await eventually(
    async () => {
      return (await fetch(`${server.url}/api/v1/jobs`, asYaml(yamlDescriptor('later')))).status
    },
    status => status === 201
  )
  t.same(await names(), ['later'])
})
