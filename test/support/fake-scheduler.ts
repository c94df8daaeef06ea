import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import type { Config } from '../../schemas/config.js'
import { eventually } from './waiting.js'

interface Asked { path: string, body: any }

/** A Cloud Scheduler on a loopback port (contract section 4). It takes every question and calls back only when a test makes it. */
export interface FakeScheduler {
  /** Settings of a server that asks it. */
  config: Partial<Config>
  /** Every question so far. */
  asked: Asked[]
  /** How it answers from now on; undefined takes what it is asked. */
  behave (answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined): void
  /** The next question that was not taken yet. */
  take (): Promise<Asked>
  /** Ends it as a crash would: connections are cut, the port is closed. */
  stop (): Promise<void>
  /** Comes back on the same port. */
  start (): Promise<void>
}

export async function startFakeScheduler (t: Test): Promise<FakeScheduler> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let taken = 0
  let answer: Parameters<FakeScheduler['behave']>[0]
  let server: Server
  let port = 0

  async function start (): Promise<void> {
    server = createServer((request, response) => {
      let text = ''
      request.on('data', chunk => { text += String(chunk) })
      request.on('end', () => {
        if (request.method === 'POST') asked.push({ path: request.url!, body: JSON.parse(text) })
        if (answer) answer(request, response)
        else response.end('ok')
      })
    })
    server.on('connection', socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }

  async function stop (): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }

  await start()
  t.teardown(stop)
  return {
    config: { CLOUD_SCHEDULER_URL: '127.0.0.1', CLOUD_SCHEDULER_PORT: port, SCHEDULER_TIMEOUT_S: 1, PLACEMENT_RETRY_S: 0.1 },
    asked,
    behave (next) { answer = next },
    async take () {
      await eventually(async () => asked.length, count => count > taken)
      return asked[taken++]!
    },
    stop,
    start
  }
}

/** Calls back on the server, with the bytes as they are. No content type when it is undefined. */
export async function callBack (serverUrl: string, body: string | object, { kind = 'deploy', type = 'application/json' }: { kind?: 'deploy' | 'replicate', type?: string | undefined } = {}): Promise<{ status: number, text: string }> {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const answer = await fetch(`${serverUrl}/api/result/${kind}`, { method: 'POST', headers: type === undefined ? {} : { 'content-type': type }, body: bytes })
  return { status: answer.status, text: await answer.text() }
}
