import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A place for a database that has no room left when a test says so. */
export interface FullDisk {
  /** The database is in its folder `data`. */
  home: string
  /** What a write meets then. */
  error: 'ENOSPC' | 'EFBIG'
  /** Leaves no room, as of now, for the process with this id. */
  fill(pid: number): void
  free(pid: number): void
}

const SIZE = '64m'
const CHUNK = Buffer.alloc(64 * 1024)

/** A file system of its own, which is filled: ENOSPC. Undefined where nobody may mount. */
export async function mountedDisk (t: Test): Promise<FullDisk | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    await rm(folder, { recursive: true })
    return undefined
  }
  t.teardown(async () => {
    execFileSync('umount', ['-l', folder])
    await rm(folder, { recursive: true })
  })
  const ballast = join(folder, 'ballast')
  return {
    home: folder,
    error: 'ENOSPC',
    fill () {
      const file = openSync(ballast, 'a')
      try {
        for (let size = CHUNK.length; size >= 1;) {
          try {
            if (writeSync(file, CHUNK, 0, size) < size) size >>= 1
          } catch {
            size >>= 1
          }
        }
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(ballast, { force: true })
  }
}

/** A limit for the size of files, of nothing: EFBIG. Undefined without prlimit. */
export async function limitedFiles (t: Test): Promise<FullDisk | undefined> {
  const set = (pid: number, limit: string) =>
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${limit}:unlimited`], { stdio: 'ignore' })
  try {
    set(process.pid, 'unlimited')
  } catch {
    return undefined
  }
  const home = await mkdtemp(join(tmpdir(), 'disk-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  return {
    home,
    error: 'EFBIG',
    fill: pid => set(pid, '0'),
    free: pid => set(pid, 'unlimited')
  }
}
