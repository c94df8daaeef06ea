import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, open, rename, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { syncFolder } from './folder.js'

/**
 * Backups while a server has the database open, which it has for itself alone: another process of the same user asks
 * for one over a socket of the file system.
 */

/** Where the server that has this file open serves backups: beside the file it would be in the way of copies. */
export function backupSocketOf (file: string): string {
  const name = createHash('sha256').update(resolve(file)).digest('hex').slice(0, 24)
  return join(tmpdir(), `system-manager-${name}.sock`)
}

/** Makes a backup as a whole or not at all. Throws an Error for a file that exists. */
export async function writeBackup (backup: (file: string) => Promise<void>, target: string): Promise<void> {
  if (existsSync(target)) throw new Error(`${target} exists, and is not overwritten`)
  const draft = `${target}.partial`
  await rm(draft, { force: true })
  try {
    await backup(draft)
    const handle = await open(draft, 'r+')
    await handle.sync().finally(() => handle.close())
    await rename(draft, target)
  } catch (err) {
    await rm(draft, { force: true })
    throw err
  }
  await syncFolder(dirname(target))
}

/** What the server answers: why there is no backup, or nothing. */
interface Answer {
  error?: string
}

/** Serves backups at this path, one after the other. @returns Ends it, once the one that is under way is done. */
export async function serveBackups (
  path: string,
  backup: (file: string) => Promise<void>
): Promise<() => Promise<void>> {
  let last: Promise<void> = Promise.resolve()
  const undecided = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, async socket => {
    undecided.add(socket)
    socket.on('error', () => socket.destroy())
    const target = await wholeText(socket)
    undecided.delete(socket)
    if (target === undefined) return
    last = last.then(async () => {
      const answer: Answer = await writeBackup(backup, target.trim()).then(
        () => ({}),
        (err: Error) => ({ error: err.message })
      )
      socket.end(JSON.stringify(answer))
    })
  })

  // One that a killed server left: the database is ours by now.
  await rm(path, { force: true })
  server.listen(path)
  await once(server, 'listening')
  await chmod(path, 0o600)
  // A start that fails after this is not to go on for its sake.
  server.unref()
  return async () => {
    server.close()
    for (const socket of undecided) socket.destroy()
    await last
    await rm(path, { force: true })
  }
}

/** All that a peer sends; undefined where the connection breaks. Iteration would end the other half as well. */
function wholeText (socket: Socket): Promise<string | undefined> {
  return new Promise(resolve => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      text += String(chunk)
    })
    socket.once('end', () => resolve(text))
    socket.once('close', () => resolve(undefined))
  })
}

/** Asks the server for a backup. False when no server listens there. Throws an Error when it cannot make one. */
export async function askForBackup (path: string, target: string): Promise<boolean> {
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
  } catch {
    return false
  }
  socket.end(target)
  const { error } = JSON.parse(await text(socket)) as Answer
  if (error !== undefined) throw new Error(error)
  return true
}
