import { ObjectId } from 'mongodb'
import { isHexId } from '../../schemas/primitives.js'

/** Sorts before every id that was ever given out. */
const NO_ID = new ObjectId('000000000000000000000000')

/** An id as the database has it; one that is not of 24 hex digits becomes an id that nothing has. */
export function toObjectId (id: string): ObjectId {
  return isHexId(id) ? new ObjectId(id) : NO_ID
}
