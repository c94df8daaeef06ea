import t from 'tap'
import { storeContract } from './contract.js'
import { uri } from './on-mongo.js'
import { openEmpty } from './mongo-store.js'

/** The contract on the server of MONGO_URI, or on the emulator, which is not MongoDB (docs/database.md). */
storeContract(t, t => openEmpty(t, uri))
