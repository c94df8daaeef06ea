/** Engine.IO by hand over long polling: exact bytes, and clients that nobody would write. */
export interface Polling {
  /** Query with the session id, for requests of one's own. */
  url: string
  /** The answer to the handshake. */
  open: { sid: string, upgrades: string[], maxPayload?: number }
  /** A GET: the packets that wait, as text. */
  poll (): Promise<{ status: number, text: string }>
  /** A POST of packets, as text. */
  post (text: string, headers?: Record<string, string>): Promise<{ status: number, text: string }>
}

export async function openPolling (port: number, engineIo: 3 | 4): Promise<Polling> {
  const base = `http://127.0.0.1:${port}/socket.io/?EIO=${engineIo}&transport=polling`
  const handshake = await ask(base)
  // EIO 3 tells the length of each packet, EIO 4 separates them by a character; the first is of type 0, open.
  const open = JSON.parse(handshake.text.slice(handshake.text.indexOf('{'), handshake.text.lastIndexOf('}') + 1)) as Polling['open']
  const url = `${base}&sid=${open.sid}`
  return {
    url,
    open,
    poll: () => ask(url),
    post: (text, headers = {}) => ask(url, { method: 'POST', headers: { 'content-type': 'text/plain;charset=UTF-8', ...headers }, body: text })
  }
}

async function ask (url: string, init?: RequestInit): Promise<{ status: number, text: string }> {
  const answer = await fetch(url, init)
  return { status: answer.status, text: await answer.text() }
}

/** A packet of Engine.IO 3 in long polling: its length in characters, then itself. */
export const eio3 = (packet: string): string => `${packet.length}:${packet}`
