import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { WebSocket } from 'undici'
import type { CommandDraft } from '../../../schemas/channel.js'
import { HUGE, until, type ChannelServer } from './channel-server.js'

export interface Frame { event: string, data: any }
export interface Closing { code: number, reason: string }

/** Milliseconds that a peer waits for a frame: generous, since a machine may be busy. */
const PATIENCE_MS = 20_000

/** A cluster that does only what the test makes it do, over a real WebSocket. */
export interface Peer {
  frames: Frame[]
  send (event: string, data?: unknown): void
  raw (data: string | Uint8Array): void
  /** The next frame, which must be of this event; gives its data. */
  next (event: string): Promise<any>
  /** The frames of this event so far, as their data. */
  all (event: string): any[]
  close (): void
  closed: Promise<Closing>
}

export async function openPeer (t: Test, url: string): Promise<Peer> {
  const socket = new WebSocket(url)
  t.teardown(() => socket.close())
  const frames: Frame[] = []
  let read = 0
  let arrived = () => {}
  socket.addEventListener('message', ({ data }) => {
    frames.push(JSON.parse(String(data)) as Frame)
    arrived()
  })
  const closed = new Promise<Closing>(resolve => socket.addEventListener('close', ({ code, reason }) => {
    resolve({ code, reason })
    arrived()
  }))
  await once(socket, 'open')
  return {
    frames,
    closed,
    send: (event, data) => socket.send(JSON.stringify({ event, data })),
    raw: data => socket.send(data),
    async next (event) {
      const deadline = Date.now() + PATIENCE_MS
      while (read >= frames.length) {
        if (Date.now() > deadline) throw new Error(`no ${event} came; got ${frames.map(frame => frame.event).join(', ')}`)
        await new Promise<void>(resolve => {
          arrived = resolve
          setTimeout(resolve, 100)
        })
      }
      const frame = frames[read++]!
      if (frame.event !== event) throw new Error(`expected ${event}, got ${JSON.stringify(frame)}`)
      return frame.data
    },
    all: event => frames.filter(frame => frame.event === event).map(frame => frame.data),
    close: () => socket.close()
  }
}

export type Registered = Peer & { sc2: any, id: string }

/** Opens and registers; gives the peer with the answer, sc2. */
export async function register (t: Test, url: string, cs1: Record<string, unknown> = {}): Promise<Registered> {
  const peer = await openPeer(t, url)
  await peer.next('sc1')
  peer.send('cs1', { cluster_name: 'hpi', manager_port: 10100, cluster_info: {}, cluster_location: null, ...cs1 })
  const sc2 = await peer.next('sc2')
  return Object.assign(peer, { sc2, id: sc2.id as string })
}

/** The same for a cluster that has said how much room it has, so that services are placed there. */
export async function registerRoomy (t: Test, server: ChannelServer, cs1: Record<string, unknown> = {}): Promise<Registered> {
  const peer = await register(t, server.channel, cs1)
  peer.send('information', HUGE)
  await until(async () => (await server.cluster(peer.id)).last_heartbeat_at !== null, 'the heartbeat')
  return peer
}

/**
 * The same for a cluster with a job and so many commands about it in its outbox, from seq 1 on, which came while it was
 * away: its session finds them without a sweep.
 */
export async function registerWith (t: Test, server: ChannelServer, kinds: Array<CommandDraft['kind']>): Promise<Registered> {
  const first = await register(t, server.channel)
  first.close()
  await first.closed
  await server.command(first.id, kinds)
  return await register(t, server.channel, { last_seq: 0 })
}

/** A client that is only as much of a WebSocket as the test makes it: it answers nothing, and reads only when asked. */
export interface RawPeer {
  socket: Socket
  /** What the server sent, with the handshake. */
  received (): string
  /** A frame; opcode 1 is text, 2 binary, 8 close, 9 ping, 10 pong. */
  send (opcode: number, payload: string | Uint8Array, more?: { final?: boolean, claimedLength?: number }): void
  event (event: string, data?: unknown): void
  /** Code of the close frame of the server, 1005 for one without. */
  closeCode (): Promise<number>
  gone: Promise<unknown>
}

export function frame (opcode: number, payload: string | Uint8Array, { final = true, claimedLength }: { final?: boolean, claimedLength?: number } = {}): Buffer {
  const body = Buffer.from(payload)
  const length = claimedLength ?? body.length
  const size = length < 126 ? Buffer.alloc(2) : length < 65536 ? Buffer.alloc(4) : Buffer.alloc(10)
  size[0] = opcode | (final ? 0x80 : 0)
  if (length < 126) size[1] = 0x80 | length
  else if (length < 65536) { size[1] = 0x80 | 126; size.writeUInt16BE(length, 2) } else { size[1] = 0x80 | 127; size.writeBigUInt64BE(BigInt(length), 2) }
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([size, Buffer.alloc(4), body])
}

/** The bytes of an upgrade request. Headers given replace those of the same name; undefined leaves one out. */
export function upgradeRequest (headers: Record<string, string | undefined> = {}, path = '/register'): string {
  const all = { Host: 'localhost', Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers }
  const lines = Object.entries(all).flatMap(([name, value]) => value === undefined ? [] : [`${name}: ${value}`])
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

export async function openRaw (t: Test, port: number, request = upgradeRequest()): Promise<RawPeer> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const chunks: Buffer[] = []
  const bytes = () => {
    const all = Buffer.concat(chunks)
    chunks.splice(0, chunks.length, all)
    return all
  }
  socket.on('data', chunk => { chunks.push(chunk as Buffer) })
  socket.on('error', () => {})
  const gone = new Promise(resolve => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.write(request)
  return {
    socket,
    gone,
    received: () => bytes().toString('latin1'),
    send: (...args) => { socket.write(frame(...args)) },
    event: (event, data) => { socket.write(frame(1, JSON.stringify({ event, data }))) },
    async closeCode () {
      for (;;) {
        const code = readCloseCode(bytes())
        if (code !== undefined) return code
        if (socket.destroyed) throw new Error('gone without a close frame')
        await Promise.race([once(socket, 'data'), gone])
      }
    }
  }
}

/** Registers; gives the peer with its id. It answers nothing. */
export async function registerRaw (t: Test, port: number, name = 'hpi'): Promise<RawPeer & { id: string }> {
  const peer = await openRaw(t, port)
  peer.event('cs1', { cluster_name: name })
  await until(() => peer.received().includes('"sc2"'), 'sc2')
  return Object.assign(peer, { id: /"sc2","data":\{"id":"(\w+)"/.exec(peer.received())![1]! })
}

/** Walks over the frames behind the handshake. */
function readCloseCode (bytes: Buffer): number | undefined {
  let at = bytes.indexOf('\r\n\r\n') + 4
  if (at < 4) return undefined
  while (at + 2 <= bytes.length) {
    const opcode = bytes[at]! & 0x0f
    let length = bytes[at + 1]! & 0x7f
    at += 2
    if (length === 126) { length = bytes.readUInt16BE(at); at += 2 } else if (length === 127) { length = Number(bytes.readBigUInt64BE(at)); at += 8 }
    if (opcode === 8) return length === 0 ? 1005 : bytes.readUInt16BE(at)
    at += length
  }
  return undefined
}
