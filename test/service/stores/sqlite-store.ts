import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import type { Test } from 'tap'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import type { Store } from '../../../stores/store.js'
import type { Edit, LoggedError, Opened } from './opened.js'

/** A store in a file of its own, for a test of the contract. */
export async function openFile (t: Test): Promise<Opened> {
  const file = join(t.testdir(), 'data', 'system-manager.db')
  const errors: LoggedError[] = []
  const log = {
    info () {},
    warn () {},
    error: (details: object, message: string) => {
      errors.push({ details, message })
    }
  }
  let store: Store = await openSqliteStore({ file, log })
  t.teardown(() => store.close())

  async function reopen (): Promise<Store> {
    await store.close()
    store = await openSqliteStore({ file, log })
    return store
  }

  return {
    store,
    errors,
    reopen,
    async tampered (edits) {
      await store.close()
      const db = new DatabaseSync(file)
      for (const edit of edits) apply(db, edit)
      db.close()
      return await reopen()
    }
  }
}

function apply (db: InstanceType<typeof DatabaseSync>, edit: Edit): void {
  if ('job' in edit) db.prepare('UPDATE jobs SET doc = ? WHERE id = ?').run(edit.text, edit.job)
  else if ('cluster' in edit) db.prepare('UPDATE clusters SET warnings = ? WHERE id = ?').run(edit.text, edit.cluster)
  else if ('event' in edit) {
    db.prepare('UPDATE events SET doc = ? WHERE job_id = ? AND id = ?').run(edit.text, ...edit.event)
  } else if ('earlier' in edit) {
    db.prepare('UPDATE descriptors SET doc = ? WHERE job_id = ? AND generation = ?').run(edit.text, ...edit.earlier)
  } else db.prepare('UPDATE outbox SET job = ? WHERE cluster_id = ? AND seq = ?').run(edit.text, ...edit.command)
}
