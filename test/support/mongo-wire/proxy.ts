import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, isIP, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { BSON, MongoClient, type Document } from 'mongodb'
import type { Test } from 'tap'

/**
 * What becomes of a command.
 * - `error`: the server refuses it, and does nothing of it.
 * - `writeErrors`: the server refuses each statement of it.
 * - `writeConcernError`: the server does it, but not on as many disks as were asked for.
 * - `cut before`, `cut after`: the connection ends before, or after the server has done it.
 * - `lateMs`: the server does it, and its answer comes so many milliseconds later.
 * - `hold`: the server does it, and its answer never comes.
 * - `answer`: the server does it, and its answer is what this makes of it.
 */
export type How =
  | { error: number; message?: string }
  | { writeErrors: number }
  | { writeConcernError: number }
  | { answer: (real: Document) => Document }
  | { lateMs: number }
  | 'cut before'
  | 'cut after'
  | 'hold'

/** Commands of this name, on this collection if one is given, except for the first few, and no more than `times`. */
export interface Fault {
  command: string
  collection?: string
  /** Anything more that the command has to be. */
  when?: (command: Document) => boolean
  after?: number
  times?: number
  how: How
}

/** A way to a server of the MongoDB wire protocol on which single commands fail. */
export interface MongoProxy {
  /** Leads to the server through the proxy, with the credentials of the server's own URI, without its TLS. */
  uri: string
  /** From now on commands fail like that. Gives how often one has. */
  fail(fault: Fault): { hits: () => number }
  /** From now on none fails. What is held by a fault stays so. */
  heal(): void
  /** Ends all connections and takes no new ones, until it is healed. */
  refuse(): void
  /**
   * Holds whatever clients send, until it is healed, and then passes it on. With a command, once one like it comes,
   * which is when it resolves.
   */
  freeze(at?: { command: string; collection: string }): Promise<void>
  /** How many commands of this name and collection have come. */
  count(command: string, collection?: string): number
}

const OP_MSG = 2013

interface Request {
  id: number
  name: string
  collection: unknown
  command: Document
  /** How many statements a write has. */
  statements: number
}

/** The command of a message; undefined for one of another kind, such as a first greeting. */
function readRequest (message: Buffer): Request | undefined {
  if (message.readInt32LE(12) !== OP_MSG) return undefined
  let command: Document = {}
  const sequences: Record<string, Document[]> = {}
  for (let at = 20; at < message.length;) {
    const kind = message[at]!
    const size = message.readInt32LE(at + 1)
    const section = message.subarray(at + 1, at + 1 + size)
    if (kind === 0) command = BSON.deserialize(section)
    else {
      const nameEnd = section.indexOf(0, 4)
      const documents: Document[] = []
      for (let inner = nameEnd + 1; inner < size; inner += section.readInt32LE(inner)) {
        documents.push(BSON.deserialize(section.subarray(inner, inner + section.readInt32LE(inner))))
      }
      sequences[section.toString('utf8', 4, nameEnd)] = documents
    }
    at += 1 + size
  }
  const [name = '', collection] = Object.entries(command)[0] ?? []
  command = { ...command, ...sequences }
  const statements = ((command.documents ?? command.updates ?? command.deletes ?? [0]) as unknown[]).length
  return { id: message.readInt32LE(4), name, collection, command, statements }
}

function reply (to: number, document: Document): Buffer {
  const body = BSON.serialize(document)
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(to, 8)
  head.writeInt32LE(OP_MSG, 12)
  return Buffer.concat([head, body])
}

/** Calls back with each whole message of a socket. */
function eachMessage (socket: Socket, take: (message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0))
      rest = rest.subarray(message.length)
      take(message)
    }
  })
}

/** Connects to the server that a URI names first, as the URI says. */
async function reach (uri: string): Promise<{ open: () => Socket; proxied: (port: number) => string }> {
  const { options } = new MongoClient(uri)
  const { host, port } = options.hosts[0]!
  const { tlsCAFile, tlsCertificateKeyFile } = options as { tlsCAFile?: string; tlsCertificateKeyFile?: string }
  // The driver reads them when it connects.
  const files = {
    ...(tlsCAFile && { ca: readFileSync(tlsCAFile) }),
    ...(tlsCertificateKeyFile && {
      cert: readFileSync(tlsCertificateKeyFile),
      key: readFileSync(tlsCertificateKeyFile)
    })
  }
  const open = () =>
    options.tls
      ? connectTls({ ...options, ...files, host: host!, port: port!, ...(isIP(host!) === 0 && { servername: host! }) })
      : connect({ host: host!, port: port! })
  const [, scheme, credentials = '', , path = '', query = ''] =
    /^(mongodb:\/\/)([^@/]*@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/.exec(uri)!
  const kept = query
    .split('&')
    .filter(option => option !== '' && !/^(?:tls|ssl|replicaSet|directConnection)/i.test(option))
  return {
    open,
    proxied: at =>
      `${scheme}${credentials}127.0.0.1:${at}${path || '/'}?${[...kept, 'directConnection=true'].join('&')}`
  }
}

/**
 * Starts a proxy before the server of this URI, ended with the test.
 * @param options.tls Speaks TLS with its clients; their URI has to ask for it.
 * @param options.delayMs Milliseconds that each command takes longer.
 */
export async function startMongoProxy (
  t: Test,
  uri: string,
  { tls, delayMs = 0 }: { tls?: TlsOptions; delayMs?: number } = {}
): Promise<MongoProxy> {
  const { open, proxied } = await reach(uri)
  const counts = new Map<string, number>()
  const sockets = new Set<Socket>()
  let faults: Array<Fault & { seen: number; hits: number }> = []
  let refuses = false
  let isFrozen = false
  let freezing: { command: string; collection: string; came: () => void } | undefined
  const held: Array<() => void> = []

  function faultFor ({ name, collection, command }: Request): How | undefined {
    for (const key of [name, `${name} ${String(collection)}`]) counts.set(key, (counts.get(key) ?? 0) + 1)
    const fault = faults.find(
      those =>
        those.command === name &&
        (those.collection ?? collection) === collection &&
        (those.when?.(command) ?? true) &&
        those.seen++ >= (those.after ?? 0) &&
        those.hits < (those.times ?? Infinity)
    )
    if (fault) fault.hits++
    return fault?.how
  }

  function take (passOn: () => void, request?: Request): void {
    if (freezing && request?.name === freezing.command && request.collection === freezing.collection) {
      isFrozen = true
      freezing.came()
      freezing = undefined
    }
    if (isFrozen) held.push(() => take(passOn, request))
    else passOn()
  }

  function serve (client: Socket): void {
    if (refuses) {
      client.destroy()
      return
    }
    const upstream = open()
    /** What becomes of the answers to these requests. */
    const answers = new Map<number, How>()
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket)
        })
    }
    upstream.on('close', () => client.destroy())
    // What was held of a client that is gone is still on its way.
    client.on('close', () => take(() => upstream.destroy()))
    eachMessage(client, message => {
      if (delayMs === 0) take(() => pass(message), readRequest(message))
      else setTimeout(() => take(() => pass(message), readRequest(message)), delayMs)
    })

    function pass (message: Buffer): void {
      const request = readRequest(message)
      const how = request && faultFor(request)
      if (!request || how === undefined) upstream.write(message)
      else if (how === 'cut before') end()
      else if (typeof how === 'object' && 'error' in how) {
        client.write(
          reply(request.id, {
            ok: 0,
            code: how.error,
            errmsg: how.message ?? `forged error ${how.error}`,
            codeName: `Forged${how.error}`
          })
        )
      } else if (typeof how === 'object' && 'writeErrors' in how) {
        const { writeErrors: code } = how
        client.write(
          reply(request.id, {
            ok: 1,
            n: 0,
            nModified: 0,
            writeErrors: Array.from({ length: request.statements }, (_, index) => ({
              index,
              code,
              errmsg: `forged error ${code}`
            }))
          })
        )
      } else {
        answers.set(request.id, how)
        upstream.write(message)
      }
    }

    eachMessage(upstream, message => {
      const to = message.readInt32LE(8)
      const how = answers.get(to)
      if (how === undefined) client.write(message)
      else if (how === 'cut after') end()
      else if (typeof how === 'object' && 'lateMs' in how) setTimeout(() => client.write(message), how.lateMs)
      else if (typeof how === 'object') {
        const real = BSON.deserialize(message.subarray(21), { promoteValues: false })
        client.write(
          reply(
            to,
            'answer' in how
              ? how.answer(real)
              : 'writeConcernError' in how
                ? {
                    ...real,
                    writeConcernError: { code: how.writeConcernError, errmsg: `forged error ${how.writeConcernError}` }
                  }
                : real
          )
        )
      }
    })
  }

  const server = tls ? createTlsServer(tls, serve) : createServer({ noDelay: true }, serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })

  return {
    uri: proxied((server.address() as AddressInfo).port),
    fail (fault) {
      const entry = { ...fault, seen: 0, hits: 0 }
      faults.push(entry)
      return { hits: () => entry.hits }
    },
    refuse () {
      refuses = true
      for (const socket of sockets) socket.destroy()
    },
    async freeze (at) {
      if (at) {
        await new Promise<void>(resolve => {
          freezing = { ...at, came: resolve }
        })
      } else isFrozen = true
    },
    heal () {
      faults = []
      refuses = false
      isFrozen = false
      for (const passOn of held.splice(0)) passOn()
    },
    count: (command, collection) => counts.get(collection === undefined ? command : `${command} ${collection}`) ?? 0
  }
}
