/** Documents read at a time where all are asked for: each time has to be answered in time. */
const STEP = 500

/**
 * Reads documents until there are `limit` items or no more documents, so that a page that is shorter than asked for is
 * the last one, whatever could not be understood of it.
 * @param find Gives up to `most` documents behind the one before, in order; the first ones when there is none.
 * @param toItem Undefined for a document that cannot be understood.
 * @param limit 0 for all of them.
 */
export async function readPage<Document, Item> (
  find: (before: Document | undefined, most: number) => Promise<Document[]>,
  toItem: (document: Document) => Item | undefined,
  limit: number
): Promise<Item[]> {
  const items: Item[] = []
  const most = limit || STEP
  let found: Document[] = []
  let isLast = false
  while (!isLast) {
    found = await find(found.at(-1), most)
    for (const document of found) {
      const item = toItem(document)
      if (item !== undefined) items.push(item)
    }
    isLast = found.length < most || (limit > 0 && items.length >= limit)
  }
  return limit === 0 ? items : items.slice(0, limit)
}
