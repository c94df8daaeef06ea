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

/** The first damage that a check of all pages finds, in words; undefined for none. It takes a second for half a GB. */
export function damageIn (db: { prepare (sql: string): { get (): unknown } }): string | undefined {
  const { quick_check: found } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
  return found === 'ok' ? undefined : reasonIn(found)
}
