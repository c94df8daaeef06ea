import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { openPolling } from '../socket-io/polling.js'

/** A request as it came. */
export interface Call {
  method: string
  path: string
  contentType: string | undefined
  body: string
  /** By performance.now(). */
  at: number
}

type Answer = (call: Call, reply: ServerResponse, request: IncomingMessage) => void

/** A cluster manager as nobody changes it: it registers over Socket.IO, and is called by HTTP. */
export interface ClusterManager {
  port: number
  calls: Call[]
  /** The call after those taken so far. */
  take (): Promise<Call>
  /** How it answers from now on; 200 and `ok` at first. */
  answer: Answer
  /** Stops listening; `listen` comes back on the same port. */
  hangUp (): Promise<void>
  listen (): Promise<void>
}

/** Milliseconds that a call is waited for: generous, since a machine may be busy. */
const PATIENCE_MS = 20_000

export const status = (code: number, text = 'ok', headers: Record<string, string> = { 'content-type': 'text/plain' }): Answer =>
  (_call, reply) => { reply.writeHead(code, headers).end(text) }

export async function startClusterManager (t: Test): Promise<ClusterManager> {
  let taken = 0
  const server = createServer((request, reply) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const call = { method: request.method!, path: request.url!, contentType: request.headers['content-type'], body: String(Buffer.concat(chunks)), at: performance.now() }
      manager.calls.push(call)
      manager.answer(call, reply, request)
    })
  })
  const manager: ClusterManager = {
    port: 0,
    calls: [],
    answer: status(200),
    async take () {
      const deadline = Date.now() + PATIENCE_MS
      while (manager.calls.length <= taken) {
        if (Date.now() > deadline) throw new Error(`no call came after ${taken}`)
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      return manager.calls[taken++]!
    },
    async hangUp () {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
    async listen () {
      server.listen(manager.port, '127.0.0.1')
      await once(server, 'listening')
    }
  }
  await manager.listen()
  manager.port = (server.address() as AddressInfo).port
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return manager
}

/** Registers over Socket.IO; gives the id. */
export async function registerOverSocketIo (port: number, cs1: Record<string, unknown>): Promise<string> {
  const peer = await openPolling(port, 4)
  await peer.post('40/register,')
  let text = (await peer.poll()).text
  await peer.post(`42/register,["cs1",${JSON.stringify({ cluster_info: {}, cluster_location: null, ...cs1 })}]`)
  while (!/"(sc2|error)"/.test(text)) text += (await peer.poll()).text
  if (!text.includes('"sc2"')) throw new Error(text)
  await peer.post('41/register,')
  return /"sc2","\{\\"id\\":\\"([0-9a-f]{24})\\"\}"/.exec(text)![1]!
}
