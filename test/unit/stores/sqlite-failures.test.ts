import t from 'tap'
import { asStoreFailure, closingError, isBusy } from '../../../stores/sqlite/failures.js'

const error = (errcode: unknown) => Object.assign(new Error('as SQLite says it'), { errcode })

/** Result codes of SQLite, https://www.sqlite.org/rescode.html. */
const AROUND = { BUSY: 5, LOCKED: 6, NOMEM: 7, READONLY: 8, INTERRUPT: 9, IOERR: 10, CORRUPT: 11, FULL: 13, CANTOPEN: 14, PROTOCOL: 15, NOLFS: 22, AUTH: 23, NOTADB: 26 }
const OURS = { ERROR: 1, INTERNAL: 2, PERM: 3, ABORT: 4, NOTFOUND: 12, EMPTY: 16, SCHEMA: 17, TOOBIG: 18, CONSTRAINT: 19, MISMATCH: 20, MISUSE: 21, FORMAT: 24, RANGE: 25 }

t.test('trouble around the database is an outage, whatever the extended code says besides', async t => {
  for (const [name, code] of Object.entries(AROUND)) {
    for (const extended of [code, code | 1 << 8, code | 17 << 8]) {
      const err = error(extended)
      t.match(asStoreFailure(err), { code: 'store_unavailable', message: 'The embedded database failed: as SQLite says it', cause: err }, `${name} ${extended}`)
    }
  }
})

t.test('a mistake of ours, and what is no error of SQLite, stays as it is', async t => {
  for (const [name, code] of Object.entries(OURS)) {
    const err = error(code)
    t.equal(asStoreFailure(err), err, name)
  }
  for (const other of [undefined, null, 'text', 5, { errcode: 5 }, new Error('no code'), error('5'), error(undefined), error(5 | 128)]) {
    t.equal(asStoreFailure(other), other)
    t.equal(isBusy(other), false)
  }
})

t.test('only BUSY means that another connection has the lock', async t => {
  t.equal(isBusy(error(5)), true)
  t.equal(isBusy(error(5 | 1 << 8)), true)
  t.equal(isBusy(error(6)), false)
  t.equal(isBusy(error(13)), false)
})

t.test('a store that closes says so', async t => {
  t.match(closingError(), { code: 'shutting_down', message: 'The database is closed' })
})
