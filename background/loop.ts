import { setTimeout as sleep } from 'node:timers/promises'

/** Where a loop says what it does. A Fastify logger fits. */
export interface LoopLog {
  error (details: object, message: string): void
}

/** What one turn of a loop is given. */
export interface Turn {
  /** Fencing token of the loop's lease; 0 for a loop without one. */
  fence: number
  /** Aborted when the loop is stopped. */
  signal: AbortSignal
  /**
   * Does the same for each item, one after the other. What fails for one is logged and never stops the others.
   * @param about What the log is to say of an item.
   */
  each<T> (items: Iterable<T>, act: (item: T) => Promise<unknown>, about: (item: T) => object): Promise<void>
}

export interface LoopOptions {
  /** What it is called in logs and by /readyz. */
  name: string
  /** Milliseconds between the end of a turn and the next one. */
  everyMs: number
  /** One turn. What it throws is logged; the next turn tries again. */
  run (turn: Turn): Promise<void>
  /** Runs only while it is held: of several System Managers, one does the work. */
  lease?: { held (signal: AbortSignal): Promise<number> }
  /** Milliseconds between a wake and the turn that it causes: what arrives together shares a turn. Default 0. */
  gatherMs?: number
  /** Milliseconds to rest at least after a turn of `tookMs`, whatever wakes it. Default none. */
  restMs?: (tookMs: number) => number
  /** Begins with a turn instead of a wait. Default true. */
  atOnce?: boolean
  log: LoopLog
}

/** Starts a loop that the server keeps an eye on (plugins/loops.ts). */
export type StartLoop = (options: Omit<LoopOptions, 'log'>) => Loop

export interface Loop {
  readonly name: string
  /** Milliseconds that the present turn has taken so far; 0 between turns and while the lease is elsewhere. */
  busyMs (): number
  /** There may be something to do: the next turn comes now. */
  wake (): void
  /** Ends it: nothing new is begun, and the promise resolves when the turn under way is over. Never rejects. */
  stop (): Promise<void>
  /** Resolves once it was stopped; rejects when it died. */
  ended: Promise<void>
}

/**
 * The one way to do something over and over: at intervals, sooner when it is woken, one turn at a time, until it is
 * stopped. A turn that fails is logged and tried again. Anything else that goes wrong ends the loop, and `ended`
 * rejects: whoever started it has to end the process then, since nobody would do its work.
 */
export function startLoop (options: LoopOptions): Loop {
  const { name, everyMs, run, lease, gatherMs = 0, restMs, atOnce = true, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let isWoken = atOnce
  let endNap = () => {}
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

  /** An item that fails may be too broken to be described. */
  function described (about: () => object): object {
    try {
      return about()
    } catch {
      return {}
    }
  }

  /** Until the next wake, an abort or `everyMs`, whichever comes first. */
  async function nap (): Promise<void> {
    if (isWoken) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, everyMs).unref()
      endNap = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function loop (): Promise<void> {
    while (!signal.aborted) {
      await nap()
      const fence = lease ? await lease.held(signal) : 0
      if (gatherMs > 0) await sleep(gatherMs, undefined, { signal, ref: false })
      if (signal.aborted) return
      isWoken = false
      const began = turnBegan = performance.now()
      try {
        await run({ fence, signal, each })
      } catch (err) {
        if (!signal.aborted) log.error({ err }, `${name} failed, it is tried again`)
      }
      turnBegan = undefined
      const rest = restMs?.(performance.now() - began) ?? 0
      if (rest > 0) await sleep(rest, undefined, { signal, ref: false })
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
      endNap()
    },
    async stop () {
      stopping.abort()
      endNap()
      // That it died is for `ended` to say: whoever stops loops stops all of them.
      await ended.catch(() => {})
    },
    ended
  }
}
