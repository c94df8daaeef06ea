import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { Test } from 'tap'

/**
 * What a network does.
 * - `delay`: bytes come up to 150 ms later.
 * - `fragment`: bytes come a few at a time.
 * - `stall up`, `stall down`: bytes of clients, or to them, wait.
 * - `cut`: connections end in the middle of what is sent next.
 * - `half-close`: one side of each connection is told that the other has nothing more to say.
 * - `refuse`: connections end, and no new ones are taken.
 */
const KINDS = ['delay', 'fragment', 'stall up', 'stall down', 'cut', 'half-close', 'refuse'] as const

interface Disturbance {
  kind: (typeof KINDS)[number]
  ms: number
  calmMs: number
}

/** Disturbances without an end, the same for the same seed. */
export function * disturbancesOf (seed: number, longestMs: number): Generator<Disturbance> {
  const disturbance = fc.record({
    kind: fc.constantFrom(...KINDS),
    ms: fc.integer({ min: 20, max: longestMs }),
    calmMs: fc.integer({ min: 50, max: 500 })
  })
  for (let batch = 0; ; batch++) yield * fc.sample(disturbance, { seed: seed + batch * 1009, numRuns: 200 })
}

/** A way over TCP that is as bad as a network can be. It knows nothing of what it carries. */
export interface ChaosProxy {
  port: number
  /** Resolves when it is over. What was cut stays so. */
  disturb(disturbance: Disturbance): Promise<void>
  /** Ends the connections to this port, or all of them. */
  cut(port?: number): void
  /** The longest time, in ms, in which nothing of clients came through since this was last asked. */
  silence(): number
  /** Disturbances so far, by kind. */
  counts: Record<string, number>
}

interface Pair {
  client: Socket
  upstream: Socket
  port: number
}

/** Bytes that wait in the proxy before it reads no more. */
const FULL_BYTES = 1_000_000
const LATE_MS = 150

/** @param target The port that the next connection goes to; undefined: nowhere. */
export async function startChaosProxy (
  t: Test,
  target: () => number | undefined,
  random: () => number
): Promise<ChaosProxy> {
  const pairs = new Set<Pair>()
  const counts: Record<string, number> = {}
  const network: { now: Disturbance['kind'] | undefined } = { now: undefined }
  const is = (kind: Disturbance['kind']) => network.now === kind
  let lastUpAt = performance.now()
  let longest = 0

  function noteSilence (): void {
    longest = Math.max(longest, performance.now() - lastUpAt)
    lastUpAt = performance.now()
  }

  /** Passes on what one side sends, in order, as the network is at that moment. */
  function carry (pair: Pair, from: Socket, to: Socket): void {
    const isUp = from === pair.client
    const waiting: Buffer[] = []
    let size = 0
    let hasEnded = false
    let isPumping = false

    async function pump (): Promise<void> {
      if (isPumping) return
      isPumping = true
      for (let chunk = waiting.shift(); chunk; chunk = waiting.shift()) {
        size -= chunk.length
        while (is(isUp ? 'stall up' : 'stall down') && !to.destroyed) await sleep(10)
        if (is('delay')) await sleep(random() * LATE_MS)
        if (is('cut')) {
          to.write(chunk.subarray(0, Math.floor(random() * chunk.length)))
          await sleep(5)
          end(pair)
          return
        }
        if (is('fragment')) {
          // Whatever is left when it is over comes at once.
          while (chunk.length > 0 && is('fragment')) {
            const piece = chunk.subarray(0, 1 + Math.floor(random() * 20))
            to.write(piece)
            chunk = chunk.subarray(piece.length)
            await sleep(1)
          }
        }
        to.write(chunk)
        if (isUp) noteSilence()
        if (size < FULL_BYTES) from.resume()
      }
      isPumping = false
      if (hasEnded) to.end()
    }

    from.on('data', (chunk: Buffer) => {
      waiting.push(chunk)
      size += chunk.length
      if (size > FULL_BYTES) from.pause()
      pump().catch(() => end(pair))
    })
    from.on('end', () => {
      hasEnded = true
      if (!isPumping) to.end()
    })
    from.on('error', () => end(pair))
    from.on('close', () => {
      // What was sent before may still be on its way.
      if (!hasEnded) end(pair)
      else if (to.destroyed) pairs.delete(pair)
    })
  }

  function end (pair: Pair): void {
    pairs.delete(pair)
    pair.client.destroy()
    pair.upstream.destroy()
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
    const port = target()
    if (is('refuse') || port === undefined) {
      client.destroy()
      return
    }
    const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const pair = { client, upstream, port }
    pairs.add(pair)
    carry(pair, client, upstream)
    carry(pair, upstream, client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (port?: number) => {
    for (const pair of pairs) if (port === undefined || pair.port === port) end(pair)
  }
  t.teardown(() => {
    server.close()
    cut()
  })
  return {
    port: (server.address() as AddressInfo).port,
    counts,
    cut,
    async disturb ({ kind, ms }) {
      counts[kind] = (counts[kind] ?? 0) + 1
      network.now = kind
      if (kind === 'refuse') cut()
      if (kind === 'half-close') for (const { client, upstream } of pairs) (random() < 0.5 ? client : upstream).end()
      await sleep(ms)
      network.now = undefined
    },
    silence () {
      longest = Math.max(longest, performance.now() - lastUpAt)
      const found = longest
      longest = 0
      return found
    }
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf (seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
