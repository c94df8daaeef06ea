import t from 'tap'
import { startEmulator } from '../../support/mongo-wire/emulator.js'
import { storeContract } from './contract.js'
import { openEmpty } from './mongo-store.js'

/** The contract on the emulator of the MongoDB wire protocol, which is not MongoDB (docs/database.md). */
const { uri } = await startEmulator(t)
storeContract(t, t => openEmpty(t, uri))
