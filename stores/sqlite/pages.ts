/**
 * Reads rows until there are `limit` items or no more rows, so that a page that is shorter than asked for is the last
 * one, whatever could not be understood of it. To be called inside of a read, where the rows stay as they are.
 * @param select Gives up to `limit` rows from the row `offset` on, in order; all of them for -1.
 * @param toItem Undefined for a row that cannot be understood.
 */
export function readPage<Row, Item> (
  select: (limit: number, offset: number) => Row[],
  toItem: (row: Row) => Item | undefined,
  limit = -1
): Item[] {
  const items: Item[] = []
  let rows: Row[]
  let offset = 0
  do {
    rows = select(limit, offset)
    for (const row of rows) {
      const item = toItem(row)
      if (item !== undefined) items.push(item)
    }
    offset += rows.length
  } while (rows.length === limit && items.length < limit)
  return limit < 0 ? items : items.slice(0, limit)
}
