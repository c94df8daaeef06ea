import type { WebSocket } from 'ws'

/** Text of a frame, undefined for a binary one. */
export type Received = string | undefined

export interface FrameQueue {
  /** Forgets what waits, and everything that is still to come. */
  drop (): void
  /** Resolves once nothing is being taken and nothing waits. */
  idle (): Promise<void>
}

/** The peer is not read from while more than this waits for its turn. */
const READ_AHEAD = { frames: 64, bytes: 4 * 1024 * 1024 }

/** One read of the network may bring many tiny frames at once; more than this is nonsense. */
const MAX_WAITING = 1000

/** Most frames that are taken together. */
const TOGETHER = 64

/**
 * Takes the frames of a socket in order of arrival: an ack must not overtake the heartbeat before it. Those that came
 * while others were being taken are taken together.
 * @param take Must not reject.
 * @param overflow Too many frames came at once.
 */
export function openFrameQueue (
  socket: WebSocket,
  { take, overflow }: { take (texts: Received[]): Promise<void>, overflow (): void }
): FrameQueue {
  let waiting: Received[] = []
  let size = 0
  let dropped = false
  let taking: Promise<void> | undefined

  socket.on('message', (raw, isBinary) => {
    // Between the closing frame of ours and its answer, the peer may still send.
    if (dropped || socket.readyState !== socket.OPEN) return
    if (waiting.length >= MAX_WAITING) {
      overflow()
      return
    }
    const text = isBinary ? undefined : String(raw)
    waiting.push(text)
    size += text?.length ?? 0
    if (isAhead()) socket.pause()
    taking ??= takeAll()
  })

  function isAhead (): boolean {
    return waiting.length > READ_AHEAD.frames || size > READ_AHEAD.bytes
  }

  async function takeAll (): Promise<void> {
    while (waiting.length > 0) {
      const texts = waiting.splice(0, TOGETHER)
      for (const text of texts) size -= text?.length ?? 0
      await take(texts)
      if (!isAhead()) socket.resume()
    }
    taking = undefined
  }

  return {
    drop () {
      dropped = true
      waiting = []
      // Else the answer to the closing frame would not be read.
      socket.resume()
    },
    idle: async () => {
      await taking
    }
  }
}
