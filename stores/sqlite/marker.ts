import { existsSync } from 'node:fs'
import { open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Type, type Static } from '@sinclair/typebox'
import { parseStored, shapeOf } from '../../schemas/primitives.js'
import { syncFolder } from './folder.js'

/**
 * What is noted beside a database, so that another file, an older one or half of one is not taken for it.
 * The file itself has the same, in its table `identity`.
 */
const Marker = Type.Object({
  id: Type.String(),
  /** Rises with each start, checkpoint and clean stop: first in the database, then here. */
  count: Type.Integer({ minimum: 0 })
})
export type Marker = Static<typeof Marker>

const asMarker = shapeOf(Marker, 'a marker')

/** The database in a folder. */
export const databaseIn = (folder: string) => join(folder, 'system-manager.db')

/** The marker of a database. */
export const markerOf = (file: string) => `${file}.marker`

/** Its file of changes that are not yet in the database itself. */
export const logOf = (file: string) => `${file}-wal`

/** Undefined where there is none. Throws an Error for one that cannot be understood. */
export async function readMarker (file: string): Promise<Marker | undefined> {
  if (!existsSync(markerOf(file))) return undefined
  const text = await readFile(markerOf(file), 'utf8')
  try {
    return asMarker(parseStored(text))
  } catch (cause) {
    throw new Error(`its marker ${markerOf(file)} cannot be understood: ${(cause as Error).message}`, { cause })
  }
}

/** On disk when it resolves, as a whole or not at all. */
export async function writeMarker (file: string, marker: Marker): Promise<void> {
  await replaceFile(markerOf(file), `${JSON.stringify(marker)}\n`)
}

async function replaceFile (file: string, text: string): Promise<void> {
  const draft = await open(`${file}.new`, 'w', 0o600)
  try {
    await draft.writeFile(text)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await rename(`${file}.new`, file)
  await syncFolder(dirname(file))
}
