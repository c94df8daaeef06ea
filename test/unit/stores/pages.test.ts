import t from 'tap'
import { readPage } from '../../../stores/sqlite/pages.js'

/** The rows 1 to 10, of which those divisible by three cannot be understood. */
const rows = Array.from({ length: 10 }, (_, index) => index + 1)
const select = (limit: number, offset: number) => rows.slice(offset, limit < 0 ? undefined : offset + limit)
const toItem = (row: number) => row % 3 === 0 ? undefined : row

t.test('a page is filled up behind rows that cannot be understood, and never more than full', async t => {
  t.same(readPage(select, toItem, 2), [1, 2])
  t.same(readPage(select, toItem, 3), [1, 2, 4], 'the rows 4 to 6 are read for one of them')
  t.same(readPage(select, toItem, 5), [1, 2, 4, 5, 7])
  t.same(readPage(select, toItem, 7), [1, 2, 4, 5, 7, 8, 10])
  t.same(readPage(select, toItem, 8), [1, 2, 4, 5, 7, 8, 10], 'a shorter one is the last')
  t.same(readPage(select, toItem), [1, 2, 4, 5, 7, 8, 10], 'all')
})

t.test('no more is read than the page needs', async t => {
  const reads = (limit: number | undefined) => {
    const read: Array<[number, number]> = []
    readPage((limit, offset) => {
      read.push([limit, offset])
      return select(limit, offset)
    }, toItem, limit)
    return read
  }
  t.same(reads(2), [[2, 0]], 'a full page is read once')
  t.same(reads(3), [[3, 0], [3, 3]])
  t.same(reads(8), [[8, 0], [8, 8]], 'to the last row')
  t.same(reads(undefined), [[-1, 0]])
})
