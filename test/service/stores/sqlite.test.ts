import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSqliteStore } from '../../../stores/sqlite/open.js'
import type { Store } from '../../../stores/store.js'
import { storeContract } from './contract.js'

/** The contract on real files. */
storeContract(t, async (t: Test) => {
  const file = join(t.testdir(), 'data', 'system-manager.db')
  let store: Store = await openSqliteStore({ file })
  t.teardown(() => store.close())
  return {
    store,
    async reopen () {
      await store.close()
      store = await openSqliteStore({ file })
      return store
    }
  }
})
