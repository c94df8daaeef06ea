import t from 'tap'
import { storeContract } from './contract.js'
import { uri } from './emulated.js'
import { openEmpty } from './mongo-store.js'

/** The contract on the emulator of the MongoDB wire protocol, which is not MongoDB (docs/database.md). */
storeContract(t, t => openEmpty(t, uri))
