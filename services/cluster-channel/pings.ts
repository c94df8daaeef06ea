import { once } from 'node:events'
import type { WebSocket } from 'ws'

/** Pings in a row without a pong that end a connection. */
const MAX_UNANSWERED = 2

/**
 * Pings the peer and cuts a connection that does not answer: a half-open one looks alive to TCP for many minutes.
 * Returns the function that stops it.
 * @param onPong The peer answered a ping.
 */
export function startPings (
  socket: WebSocket,
  intervalMs: number,
  { onPong, onSilence }: { onPong (): void, onSilence (): void }
): () => void {
  let unanswered = 0

  socket.on('pong', () => {
    // Only answers count: pongs without a ping must not cause a write each.
    if (unanswered > 0) onPong()
    unanswered = 0
  })

  const timer = setInterval(() => {
    // While the peer is not read from, its pong cannot be seen.
    if (socket.isPaused) return
    if (unanswered >= MAX_UNANSWERED) {
      onSilence()
      socket.terminate()
    } else {
      unanswered++
      socket.ping()
    }
  }, intervalMs)

  return () => clearInterval(timer)
}

/** Whether the peer answers a ping within so many milliseconds. */
export async function answersPing (socket: WebSocket, withinMs: number): Promise<boolean> {
  if (socket.readyState !== socket.OPEN) return false
  const answer = once(socket, 'pong', { signal: AbortSignal.timeout(withinMs) })
  socket.ping()
  return await answer.then(() => true, () => false)
}
