import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { eventually } from './waiting.js'

/**
 * Stops a process with SIGSTOP and resolves once all its threads stand still: the signal alone takes effect a moment
 * later, and until then the process still answers. SIGCONT lets it go on.
 */
export async function suspend (pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const threads = `/proc/${pid}/task`
  if (!existsSync(threads)) return
  await eventually(async () => {
    const stats = (await readdir(threads)).map(thread => readFile(`${threads}/${thread}/stat`, 'utf8').catch(() => ''))
    // "pid (name) state …"; a thread that has ended meanwhile has no stat.
    return (await Promise.all(stats)).map(stat => stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3))
  }, states => states.every(state => state === '' || state === 'T'))
}
