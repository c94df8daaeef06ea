import type { MongoClient } from 'mongodb'

/**
 * Notices what the driver (7.9) waits for in vain. Where a connection ends just before it writes to it, it waits for
 * ever that the socket takes more. A monitor that waits so never looks for its server again: once that counts as away,
 * it stays away. A statement that waits so is given up (connection.ts), and keeps its connection from others.
 */
export interface DriverWatch {
  /** What hangs, in words; undefined while the driver does its work. */
  hanging (): string | undefined
  /** Forgets what hung, since the client was closed and opened again. */
  reset (): void
}

/** Milliseconds after which an answer is overdue, beyond those that the driver gives it. */
const MARGIN_MS = 2000

/** Milliseconds after which a connection should be free: its statement was given up long before. */
const HELD_MS = 10_000

/** Share of the connections to a server that may be lost. */
const LOST_SHARE = 0.5

export function watchDriver (client: MongoClient): DriverWatch {
  const { connectTimeoutMS, heartbeatFrequencyMS, maxPoolSize } = client.options
  const overdueMs = connectTimeoutMS + heartbeatFrequencyMS + MARGIN_MS
  /** When the monitor of a server began to wait for an answer, by the address of the server. */
  const asked = new Map<string, number>()
  /** When a connection was handed out, the oldest first, by its address and id. */
  const held = new Map<string, number>()

  const nameOf = ({ address, connectionId }: { address: string, connectionId: unknown }) =>
    `${address} ${String(connectionId)}`
  client.on('serverHeartbeatStarted', ({ connectionId: address }) => asked.set(address, performance.now()))
  client.on('serverHeartbeatSucceeded', ({ connectionId: address }) => asked.delete(address))
  client.on('serverHeartbeatFailed', ({ connectionId: address }) => asked.delete(address))
  client.on('serverClosed', ({ address }) => asked.delete(address))
  client.on('connectionCheckedOut', event => held.set(nameOf(event), performance.now()))
  client.on('connectionCheckedIn', event => held.delete(nameOf(event)))
  client.on('connectionPoolClosed', () => held.clear())

  /** How many connections are held for too long. */
  function lost (now: number): number {
    let count = 0
    for (const since of held.values()) {
      if (now - since < HELD_MS) break
      count++
    }
    return count
  }

  return {
    hanging () {
      const now = performance.now()
      const [silent] = [...asked].find(([, since]) => now - since > overdueMs) ?? []
      if (silent !== undefined) return `nobody looks for the server ${silent} any more`
      const count = lost(now)
      return count > maxPoolSize * LOST_SHARE ? `${count} of ${maxPoolSize} connections are lost` : undefined
    },

    reset () {
      asked.clear()
      held.clear()
    }
  }
}
