import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyReply {
    /** Answers with a list that is read and sent part by part, as fast as the client takes it. */
    sendItems<T extends Item> (list: ItemList<T>): Promise<FastifyReply>
  }
}

interface Item {
  id: string
}

/** A list in order of id. */
interface ItemList<T extends Item> {
  /** Up to so many items after this one, in order; fewer are the last ones. */
  read (query: { after?: string, limit: number }): Promise<T[]>
  /** An item as it is sent, JSON. */
  toText (item: T): string
  /** A page of a resource, `{items, next}`. By default the whole list, as an array. */
  page?: { after?: string, limit: number }
}

/**
 * Bytes of a part, about. Nothing is known of the size of an item before the first one is read, so the first part is
 * that alone.
 */
const PART_BYTES = 256 * 1024

/** Items of a part, at most. */
const PART = 128

/** Milliseconds after which a client that takes nothing more of a list is cut off. */
const STALLED_MS = 60_000

/** Lists, of which a client with a slow connection must not keep more in memory than it has read. */
export default fp(async function itemList (app) {
  app.decorateReply('sendItems', async function (this: FastifyReply, list) {
    const parts = partsOf(list)
    // A failure until here is still answered as an error, and a list that is not long as a whole.
    let text = ''
    let next = await parts.next()
    while (!next.done && text.length < PART_BYTES) {
      text += next.value
      next = await parts.next()
    }
    this.type('application/json; charset=utf-8')
    if (next.done) return this.send(text)
    this.raw.setTimeout(STALLED_MS, () => this.raw.destroy())
    return this.send(Readable.from(joined(text, next.value, parts), { objectMode: false }))
  })
}, { name: 'item-list' })

async function * joined (first: string, second: string, rest: AsyncIterable<string>): AsyncIterable<string> {
  yield first
  yield second
  for await (const text of rest) {
    yield text
    // Others have their turn, however fast the client is.
    await setImmediate()
  }
}

/** The text of the answer, part by part. */
async function * partsOf<T extends Item> ({ read, toText, page }: ItemList<T>): AsyncGenerator<string, undefined> {
  const limit = page?.limit ?? Infinity
  let text = page ? '{"items":[' : '['
  let after = page?.after
  let size = 1
  for (let sent = 0; ;) {
    // One more than the page has shows whether there is another.
    const asked = Math.min(size, limit - sent + 1)
    const found = await read({ limit: asked, ...(after !== undefined && { after }) })
    const items = found.slice(0, limit - sent)
    const texts = items.map(toText)
    text += texts.map((each, index) => `${sent + index > 0 ? ',' : ''}${each}`).join('')
    sent += items.length
    after = items.at(-1)?.id ?? after
    const isMore = found.length > items.length
    if (isMore || found.length < asked) {
      const end = page ? `],"next":${JSON.stringify(isMore ? after ?? null : null)}}` : ']'
      yield text + end
      return undefined
    }
    yield text
    const average = texts.reduce((sum, each) => sum + each.length, 0) / texts.length
    size = Math.max(1, Math.min(PART, Math.floor(PART_BYTES / average)))
    text = ''
  }
}
