import t from 'tap'
import { storeContract } from './contract.js'
import { openFile } from './sqlite-store.js'

/** The contract on real files. */
storeContract(t, openFile)
