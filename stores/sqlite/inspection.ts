import { closeSync, existsSync, openSync, readSync, rmSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { DatabaseSync } from '@photostructure/sqlite'
import { reasonIn } from '../../schemas/wording.js'

/** What is asked of a database beside its ordinary use. */
type Inspected = Pick<InstanceType<typeof DatabaseSync>, 'prepare'>

/** Reads a file without a lock and without its log, so that nothing is changed. Throws what SQLite throws. */
export function inspect<T> (file: string, look: (db: Inspected) => T): T {
  const url = pathToFileURL(file)
  url.searchParams.set('immutable', '1')
  const db = new DatabaseSync(url, { readOnly: true })
  try {
    return look(db)
  } finally {
    db.close()
  }
}

/** What a database begins with (https://www.sqlite.org/fileformat.html, section 1.3). */
const HEADER = 'SQLite format 3\0'

/** Whether a file begins as a database does. SQLite deletes the log beside one that is empty, whoever opens it. */
export function isDatabase (file: string): boolean {
  const opened = openSync(file, 'r')
  try {
    const start = Buffer.alloc(HEADER.length)
    return readSync(opened, start) === HEADER.length && start.toString('latin1') === HEADER
  } finally {
    closeSync(opened)
  }
}

/**
 * The last row of a table, as values of these columns, by a file together with its log. Both stay as they are: a
 * connection that may only read brings nothing from one into the other. Throws what SQLite throws, such as for a file
 * that is in use.
 */
export function rowWithLog (file: string, table: string, columns: string[]): unknown[] | undefined {
  const shared = `${file}-shm`
  const hadShared = existsSync(shared)
  const db = new DatabaseSync(file, { readOnly: true })
  let row: unknown[] | undefined
  try {
    // A prepared statement would keep its lock until it is collected as garbage.
    db.function('show', { varargs: true }, (...values: unknown[]) => {
      row = values
      return null
    })
    db.exec(`SELECT show(${columns.join()}) FROM ${table}`)
    return row
  } finally {
    db.close()
    if (!hadShared) rmSync(shared, { force: true })
  }
}

/** The first damage that a check of all pages finds, in words; undefined for none. It takes a second for half a GB. */
export function damageIn (db: { prepare (sql: string): { get (): unknown } }): string | undefined {
  const { quick_check: found } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
  return found === 'ok' ? undefined : reasonIn(found)
}
