import { setTimeout as sleep } from 'node:timers/promises'

/** Where a loop logs its failures. A Fastify logger fits. */
export interface LoopLog {
  error (details: object, message: string): void
}

/** The context of one turn of a loop. */
export interface Turn {
  /** Fencing token of the loop's lease; 0 for a loop without one. */
  fence: number
  /** Aborts when the loop is stopped. */
  signal: AbortSignal
  /**
   * Calls `act` for each item, one after the other. A failure is logged and never stops the other items.
   * @param about The fields that identify an item in the log.
   */
  each<T> (items: Iterable<T>, act: (item: T) => Promise<unknown>, about: (item: T) => object): Promise<void>
}

export interface LoopOptions {
  /** Its name in logs and in /readyz. */
  name: string
  /** Milliseconds between the end of a turn and the next one. */
  everyMs: number
  /** One turn. An error is logged, and the next turn tries again. */
  run (turn: Turn): Promise<void>
  /** Turns run only while this lease is held, so that one of several System Managers does the work. */
  lease?: { held (signal: AbortSignal): Promise<number> }
  /** Milliseconds between a wake and its turn, so that wakes which come together share a turn. Default 0. */
  gatherMs?: number
  /**
   * Shortest pause after a turn of `tookMs`, in milliseconds, even if the loop is woken. Default none. For `busyMs` of
   * them the process had something to do; the rest, it waited, for a database for one.
   */
  cooldownMs?: (tookMs: number, busyMs: number) => number
  /** Whether the loop begins with a turn instead of a wait. Default true. */
  atOnce?: boolean
  log: LoopLog
}

/** Starts a loop that the server supervises (plugins/loops.ts). */
export type StartLoop = (options: Omit<LoopOptions, 'log'>) => Loop

export interface Loop {
  readonly name: string
  /** Milliseconds that the current turn has taken so far; 0 between turns and without the lease. */
  busyMs (): number
  /** Starts the next turn now: there may be something to do. */
  wake (): void
  /** Starts no further turn and resolves when the current one is over. Never rejects. */
  stop (): Promise<void>
  /** Resolves once the loop was stopped; rejects when it died. */
  ended: Promise<void>
}

/**
 * The only way to repeat work in the background: at intervals, sooner when woken, one turn at a time, until stopped. A
 * turn that fails is logged and tried again. Any other error ends the loop and rejects `ended`. The caller then has to
 * end the process, since nothing else would do this work.
 */
export function startLoop (options: LoopOptions): Loop {
  const { name, everyMs, run, lease, gatherMs = 0, cooldownMs, atOnce = true, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let isWoken = atOnce
  let endPause = () => {}
  let turnBegan: number | undefined

  const each: Turn['each'] = async (items, act, about) => {
    for (const item of items) {
      if (signal.aborted) return
      try {
        await act(item)
      } catch (err) {
        log.error({ err, ...described(() => about(item)) }, `${name}: one item failed, the others go on`)
      }
    }
  }

  /** A broken item may make `about` throw as well. */
  function described (about: () => object): object {
    try {
      return about()
    } catch {
      return {}
    }
  }

  /** Waits for a wake, the stop or `everyMs`, whichever comes first. */
  async function pause (): Promise<void> {
    if (isWoken) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, everyMs).unref()
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function loop (): Promise<void> {
    while (!signal.aborted) {
      await pause()
      const fence = lease ? await lease.held(signal) : 0
      if (gatherMs > 0) await sleep(gatherMs, undefined, { signal, ref: false })
      if (signal.aborted) return
      isWoken = false
      const began = turnBegan = performance.now()
      const used = performance.eventLoopUtilization()
      try {
        await run({ fence, signal, each })
      } catch (err) {
        if (!signal.aborted) log.error({ err }, `${name} failed, it is tried again`)
      }
      turnBegan = undefined
      const cooldown = cooldownMs?.(performance.now() - began, performance.eventLoopUtilization(used).active) ?? 0
      if (cooldown > 0) await sleep(cooldown, undefined, { signal, ref: false })
    }
  }

  const ended = loop().catch((err: unknown) => {
    if (!signal.aborted) throw err
  })

  return {
    name,
    busyMs: () => turnBegan === undefined ? 0 : performance.now() - turnBegan,
    wake () {
      isWoken = true
      endPause()
    },
    async stop () {
      stopping.abort()
      endPause()
      // Only `ended` reports a dead loop: an error here would keep the caller from stopping the others.
      await ended.catch(() => {})
    },
    ended
  }
}
