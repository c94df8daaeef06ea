import { constants, existsSync } from 'node:fs'
import { access, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ApiError } from '../../schemas/errors.js'

/**
 * Makes the folder of a database and those above it. Throws `store_unavailable`, which names the folder.
 * mkdir with `recursive` would never end where no folder can be made in one that is there, as in /proc.
 */
export async function makeFolder (folder: string): Promise<void> {
  try {
    await make(folder)
  } catch (cause) {
    const why = (cause as Error).message
    throw new ApiError('store_unavailable', `The folder ${folder} for the database cannot be made: ${why}`, { cause })
  }
}

async function make (folder: string): Promise<void> {
  if (existsSync(folder)) return
  const parent = dirname(folder)
  if (parent !== folder) await make(parent)
  await mkdir(folder).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'EEXIST') throw err
  })
}

/** Throws `store_unavailable` for a folder, or a file in it, that cannot be written to. */
export async function checkWritable (folder: string, file: string): Promise<void> {
  for (const path of [folder, file]) {
    if (!existsSync(path)) continue
    await access(path, constants.W_OK).catch((cause: Error) => {
      throw new ApiError('store_unavailable', `${path} is read-only: ${cause.message}`, { cause })
    })
  }
}

/** What was renamed in a folder is so after a power cut. */
export async function syncFolder (folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}
