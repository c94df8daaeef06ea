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

/** Items read at a time: each may have some hundred kB. */
const PART = 32

/** Lists, of which a client with a slow connection must not keep more in memory than it has read. */
export default fp(async function itemList (app) {
  app.decorateReply('sendItems', async function (this: FastifyReply, list) {
    const texts = textsOf(list)
    // A failure until here is still answered as an error.
    const first = await texts.next()
    const second = await texts.next()
    this.type('application/json; charset=utf-8')
    if (second.done) return this.send(first.value ?? '')
    return this.send(Readable.from(joined(first.value ?? '', second.value, texts), { objectMode: false }))
  })
}, { name: 'item-list' })

async function * joined (first: string, second: string, rest: AsyncIterable<string>): AsyncIterable<string> {
  yield first
  yield second
  yield * rest
}

/** The text of the answer, part by part. */
async function * textsOf<T extends Item> ({ read, toText, page }: ItemList<T>): AsyncGenerator<string, undefined> {
  const limit = page?.limit ?? Infinity
  let text = page ? '{"items":[' : '['
  let after = page?.after
  let next: string | null = null
  for (let sent = 0; ;) {
    // One more than the page has shows whether there is another.
    const asked = Math.min(PART, limit - sent + 1)
    const found = await read({ limit: asked, ...(after !== undefined && { after }) })
    const items = found.slice(0, limit - sent)
    text += items.map((item, index) => `${sent + index > 0 ? ',' : ''}${toText(item)}`).join('')
    sent += items.length
    after = items.at(-1)?.id ?? after
    if (found.length > items.length) next = after ?? null
    if (found.length < asked || found.length > items.length) break
    yield text
    text = ''
    // Others have their turn, however fast the client is.
    await setImmediate()
  }
  yield text + (page ? `],"next":${JSON.stringify(next)}}` : ']')
  return undefined
}
